//! Rotations of pairs of features by angles whose cosines and sines are given.

use super::source::{Bindings, Dispatch, Elem, Filling, signed, word};

const THREADS: u32 = 64;

const TEMPLATE: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let feature = i % {{features}};
    var rest = i / {{features}};
    let token = rest % {{tokens}};
    rest /= {{tokens}};
    let head = i32(rest % {{heads}});
    let batch = i32(rest / {{heads}});
    let origin = i32({{x_offset}}) + batch * i32({{x_batch}}) + head * i32({{x_head}}) + i32(token) * i32({{x_token}});
    let to = batch * i32({{y_batch}}) + head * i32({{y_head}}) + i32(token) * i32({{y_token}}) + i32(feature);
    let own = x_at(u32(origin + i32(feature)));
    let turned = {{turned}};
    if feature >= turned {
        y[u32(to)] = own;
        return;
    }
    let pairs = turned / 2u;
{{pair}}
    let other = x_at(u32(origin + i32(partner)));
    let place = u32(batch) * {{tokens}} + token;
    let angle = {{row}} * pairs + turn;
    let crossed = other * sin_at(angle);
    y[u32(to)] = own * cos_at(angle) + select(crossed, -crossed, is_first);
}
";

/// The partner is half of the features away.
const HALVES: &str = "    let is_first = feature < pairs;
    let turn = select(feature - pairs, feature, is_first);
    let partner = select(feature - pairs, feature + pairs, is_first);";

/// The partner is the neighbour.
const NEIGHBOURS: &str = "    let is_first = (feature & 1u) == 0u;
    let turn = feature >> 1u;
    let partner = feature ^ 1u;";

/// Sizes and strides. The inputs are the data, cosines, sines, and, where rows of angles are chosen, a
/// position per token of each of the batch, [`Elem::I32`].
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    /// Batch, heads, tokens, features.
    pub(crate) sizes: [usize; 4],
    /// How many features are turned, the first ones; an even number.
    pub(crate) turned: usize,
    /// Whether neighbours are pairs; else partners are half of them away.
    pub(crate) neighbours: bool,
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    /// Of the data: along batch, heads, tokens. Features are neighbours.
    pub(crate) strides: [isize; 3],
    /// Of the result, likewise.
    pub(crate) to: [isize; 3],
    /// What the tables hold.
    pub(crate) tables: Elem,
    /// Rows of the tables that positions choose from; none where there is a row for each token of each of
    /// the batch.
    pub(crate) rows: Option<usize>,
}

impl Rotary {
    /// A kernel and its launch.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let [batch, heads, tokens, features] = self.sizes;
        let count = batch * heads * tokens * features;
        let mut filling = Filling::default();
        filling.text("pair", if self.neighbours { NEIGHBOURS } else { HALVES });
        let chosen = "u32(clamp(positions[place], 0, i32({{rows}}) - 1))";
        filling.text("row", if self.rows.is_some() { chosen } else { "place" });
        filling.param("count", word(count));
        filling.param("heads", word(heads));
        filling.param("tokens", word(tokens));
        filling.param("features", word(features));
        filling.param("turned", word(self.turned));
        filling.param("rows", word(self.rows.unwrap_or(0)));
        filling.param("x_offset", word(self.offset));
        let names = ["x_batch", "x_head", "x_token", "y_batch", "y_head", "y_token"];
        for (name, stride) in names.into_iter().zip(self.strides.into_iter().chain(self.to)) {
            filling.param(name, signed(stride));
        }
        let mut bindings = Bindings::new().input("x", self.elem);
        bindings = bindings.input("cos", self.tables).input("sin", self.tables);
        if self.rows.is_some() {
            bindings = bindings.integers("positions");
        }
        let kernel = bindings.output("y", Elem::F32).kernel(THREADS, TEMPLATE, &filling);
        Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
    }
}
