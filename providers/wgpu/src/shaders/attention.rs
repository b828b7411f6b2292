//! Attention: over the cells of a cache, and over keys and values that lie in order.
//!
//! Both are one kernel, which keeps no scores; they differ in where the positions that a token sees are
//! found. Cells of a cache are listed, as they lie in no order.

use super::source::{Bindings, Dispatch, Elem, Filling, signed, word};

const THREADS: u32 = 64;

/// Heads of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    /// Along batch, heads and rows; features are neighbours.
    pub(crate) strides: [isize; 3],
}

/// What is seen.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// Of a list of cells the part that belongs to the token. Two further inputs: cells, and for each token
    /// of each of the batch where its part begins and ends.
    Cells,
    /// Keys in order.
    Keys {
        count: usize,
        /// How many more than its own number a token sees; all where there is none.
        causal: Option<isize>,
        /// Added to scores, or where it is false, nothing is seen; a further input.
        mask: Option<Mask>,
    },
}

/// What is added to the scores.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    /// Along batch, heads, tokens and keys.
    pub(crate) strides: [isize; 4],
}

/// The inputs are queries, keys, values, and what [`Seen`] says. Keys and values of halves have even sizes,
/// offsets and strides, those of blocks multiples of 32.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) batch: usize,
    /// Heads of queries, and of keys and values.
    pub(crate) heads: [usize; 2],
    pub(crate) tokens: usize,
    /// Features of keys, and of values.
    pub(crate) dims: [usize; 2],
    pub(crate) scale: f32,
    /// None where it is 0.
    pub(crate) softcap: f32,
    pub(crate) query: Heads,
    pub(crate) keys: Heads,
    pub(crate) values: Heads,
    pub(crate) seen: Seen,
    /// Of the result: along batch, heads and tokens.
    pub(crate) to: [isize; 3],
}

impl Attention {
    /// A kernel and its launch.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let jobs = if self.dims[1] == 0 { 0 } else { self.batch * self.heads[0] * self.tokens };
        let mut filling = Filling::default();
        let bindings = self.bind(&mut filling);
        self.sums(&mut filling);
        let key_dim = self.dims[0];
        filling.text("key_dim", format!("{}u", key_dim.max(1)));
        let pairs = key_dim.is_multiple_of(2) && self.keys.is_even();
        filling.text("pairs", if pairs { pair_text(self.keys.elem) } else { "" });
        let dot = if pairs {
            "                let pair = key_pair(row + i);
                sum += query[i] * pair.x + query[i + 1u] * pair.y;"
        } else {
            "                sum += query[i] * k_at(row + i);"
        };
        let step = if pairs { 2 } else { 1 };
        filling.text(
            "dot",
            format!(
                "            for (var i = 0u; i < {key_dim}u; i += {step}u) {{\n{dot}\n            }}"
            ),
        );
        let cap = "            sum = bitcast<f32>({{cap}}) * tanh_of(sum / bitcast<f32>({{cap}}));";
        filling.text("softcap", if self.softcap > 0.0 { cap } else { "" });
        filling.param("jobs", word(jobs));
        filling.param("heads", word(self.heads[0]));
        filling.param("tokens", word(self.tokens));
        filling.param("shared_by", word((self.heads[0] / self.heads[1].max(1)).max(1)));
        filling.param("scale", self.scale.to_bits());
        filling.param("cap", self.softcap.to_bits());
        self.query.fill(&mut filling, ["q_offset", "q_batch", "q_head", "q_row"]);
        self.keys.fill(&mut filling, ["k_offset", "k_batch", "k_head", "k_row"]);
        self.values.fill(&mut filling, ["v_offset", "v_batch", "v_head", "v_row"]);
        for (name, stride) in ["y_batch", "y_head", "y_row"].into_iter().zip(self.to) {
            filling.param(name, signed(stride));
        }
        let bindings = bindings.output("y", Elem::F32);
        let kernel = bindings.kernel(THREADS, include_str!("attention.wgsl"), &filling);
        Dispatch { kernel, launch: filling.launch(jobs) }
    }

    /// Inputs, and which positions are seen.
    fn bind(&self, filling: &mut Filling) -> Bindings {
        let mut bindings = Bindings::new().input("q", self.query.elem);
        bindings = bindings.input("k", self.keys.elem).input("v", self.values.elem);
        let (mut first, mut end, mut cell) = ("0u", "{{count}}", "place");
        let mut added = String::new();
        match &self.seen {
            Seen::Cells => {
                bindings = bindings.words("cells").words("spans");
                first = "spans[2u * (batch * {{tokens}} + token)]";
                end = "spans[2u * (batch * {{tokens}} + token) + 1u]";
                cell = "cells[place]";
            }
            Seen::Keys { count, causal, mask } => {
                filling.param("count", word(*count));
                if let Some(further) = causal {
                    filling.param("further", signed(*further));
                    end = "u32(clamp(i32(token) + 1 + i32({{further}}), 0, i32({{count}})))";
                }
                if let Some(mask) = mask {
                    bindings = bindings.input("mask", mask.elem);
                    added = mask.fill(filling);
                }
            }
        }
        filling.text("first", first);
        filling.text("end", end);
        filling.text("cell", cell);
        filling.text("mask", added);
        bindings
    }

    /// The features of the result that each invocation sums up.
    fn sums(&self, filling: &mut Filling) {
        let size = self.dims[1];
        let [mut declare, mut scale_down, mut gather, mut store] = [const { String::new() }; 4];
        for turn in 0..size.div_ceil(THREADS as usize) {
            let from = turn * THREADS as usize;
            let guard = format!("{from}u + lane < {size}u");
            declare += &format!("    var sum{turn} = 0.0;\n");
            scale_down += &format!("        sum{turn} *= factor;\n");
            gather += &format!(
                "            if {guard} {{\n                sum{turn} += weight * \
                 v_at(row + {from}u + lane);\n            }}\n"
            );
            store += &format!(
                "    if {guard} {{\n        y[u32(to) + {from}u + lane] = \
                 select(sum{turn} / total, 0.0, total == 0.0);\n    }}\n"
            );
        }
        filling.text("declare", declare);
        filling.text("scale_down", scale_down);
        filling.text("gather", gather);
        filling.text("store", store);
    }
}

impl Heads {
    /// Rows of a table of cells: so many heads side by side of so many features.
    pub(crate) fn cells(elem: Elem, heads: usize, dim: usize) -> Self {
        let size = |of: usize| isize::try_from(of).unwrap_or(isize::MAX);
        Self { elem, offset: 0, strides: [0, size(dim), size(heads.saturating_mul(dim))] }
    }

    fn fill(&self, filling: &mut Filling, names: [&'static str; 4]) {
        let [offset, names @ ..] = names;
        filling.param(offset, word(self.offset));
        for (name, stride) in names.into_iter().zip(self.strides) {
            filling.param(name, signed(stride));
        }
    }

    fn is_even(&self) -> bool {
        self.offset.is_multiple_of(2) && self.strides.iter().all(|stride| stride % 2 == 0)
    }
}

impl Mask {
    /// What becomes of the score, `sum`.
    fn fill(&self, filling: &mut Filling) -> String {
        filling.param("m_offset", word(self.offset));
        for (name, stride) in ["m_batch", "m_head", "m_row", "m_key"].into_iter().zip(self.strides)
        {
            filling.param(name, signed(stride));
        }
        let place = "u32(i32({{m_offset}}) + i32(batch) * i32({{m_batch}}) + i32(head) * \
                     i32({{m_head}}) + i32(token) * i32({{m_row}}) + i32(place) * i32({{m_key}}))";
        match self.elem {
            Elem::Bool => {
                format!("            sum = select(-infinity(), sum, mask_at({place}));\n")
            }
            _ => format!("            sum += mask_at({place});\n"),
        }
    }
}

/// Two neighbours of a key, the first at an even place.
fn pair_text(elem: Elem) -> &'static str {
    match elem {
        Elem::F16 => {
            "fn key_pair(i: u32) -> vec2<f32> {
    let word = k[i >> 1u];
    return vec2<f32>(half_value(word & 0xffffu), half_value(word >> 16u));
}"
        }
        Elem::BF16 => {
            "fn key_pair(i: u32) -> vec2<f32> {
    let word = k[i >> 1u];
    return vec2<f32>(float_of(word << 16u), float_of(word & 0xffff0000u));
}"
        }
        Elem::Q8_0 => {
            "fn key_pair(i: u32) -> vec2<f32> {
    let block = (i >> 5u) * 34u;
    let scale = half_value((k[block >> 2u] >> ((block & 2u) * 8u)) & 0xffffu);
    let at = block + 2u + (i & 31u);
    let word = k[at >> 2u] >> ((at & 2u) * 8u);
    return scale * vec2<f32>(f32(i32(word << 24u) >> 24u), f32(i32(word << 16u) >> 24u));
}"
        }
        _ => {
            "fn key_pair(i: u32) -> vec2<f32> {
    return vec2<f32>(k_at(i), k_at(i + 1u));
}"
        }
    }
}

const ROWS: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let row = i / {{width}};
    let at = (i % {{width}}){{scale}};
    let origin = {{offset}} + row * {{x_row}} + at;
    y[places[row] * {{width}} + i % {{width}}] = {{value}};
}
";

/// Two blocks, which together are a whole number of words.
const ROWS_OF_BLOCKS: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let row = i / {{width}};
    let origin = {{offset}} + row * {{x_row}} + (i % {{width}}) * 64u;
    var words = array<u32, 17>();
    for (var block = 0u; block < 2u; block += 1u) {
        let first = origin + block * 32u;
        var peak = 0.0;
        for (var e = 0u; e < 32u; e += 1u) {
            peak = max(peak, abs(x_at(first + e)));
        }
        let scale = peak / 127.0;
        let inverse = select(1.0 / scale, 0.0, scale == 0.0);
        let start = block * 34u;
        words[start >> 2u] |= half_bits(scale) << ((start & 2u) * 8u);
        for (var e = 0u; e < 32u; e += 1u) {
            let value = x_at(first + e) * inverse;
            // Halves go away from zero.
            let size = abs(value);
            let more = select(0.0, 1.0, size - floor(size) >= 0.5);
            let quant = i32(sign(value) * min(floor(size) + more, 127.0));
            let at = start + 2u + e;
            words[at >> 2u] |= (u32(quant) & 0xffu) << ((at & 3u) * 8u);
        }
    }
    let to = (places[row] * {{width}} + i % {{width}}) * 17u;
    for (var word = 0u; word < 17u; word += 1u) {
        y[to + word] = words[word];
    }
}
";

/// Writes rows into a table of cells: so many rows of so many elements. The inputs are the rows and the
/// cell of each, a word; rows of halves have an even width, those of blocks a multiple of 64.
pub(crate) fn store_rows(
    to: Elem,
    [rows, width]: [usize; 2],
    (offset, stride): (usize, usize),
) -> Dispatch {
    let (each, template) = match to {
        Elem::F16 | Elem::BF16 => (2, ROWS),
        Elem::Q8_0 => (64, ROWS_OF_BLOCKS),
        _ => (1, ROWS),
    };
    let width = width / each;
    let mut filling = Filling::default();
    let value = match to {
        Elem::F16 => "half_bits(x_at(origin)) | (half_bits(x_at(origin + 1u)) << 16u)",
        Elem::BF16 => "bfloat_bits(x_at(origin)) | (bfloat_bits(x_at(origin + 1u)) << 16u)",
        _ => "x_at(origin)",
    };
    filling.text("value", value);
    filling.text("scale", if each == 2 { " * 2u" } else { "" });
    filling.param("count", word(rows * width));
    filling.param("width", word(width));
    filling.param("offset", word(offset));
    filling.param("x_row", word(stride));
    let bindings = Bindings::new().input("x", Elem::F32).words("places").output("y", to);
    let kernel = bindings.kernel(THREADS, template, &filling);
    Dispatch { kernel, launch: filling.launch((rows * width).div_ceil(THREADS as usize)) }
}
