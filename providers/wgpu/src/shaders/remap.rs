//! Tensors put together from elements of another by tables, one per axis: every mode of `Pad`, nearest
//! neighbours, repeats, orders.

use super::source::{Bindings, Dispatch, Elem, Filling, word};
use super::view::split_text;

const THREADS: u32 = 64;

const TEMPLATE: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
{{split}}    var place = 0u;
    var inside = true;
{{look}}    var value = {{fill}};
    if inside {
        value = x_at({{offset}} + place);
    }
    y[i] = {{value}};
}
";

/// An element that lies nowhere is `fill`, whose bits are given.
///
/// Each table holds, for each place along its axis of the result, how far from the first element of the
/// input the element is that comes there, in elements; distances of all axes add up. The input is the
/// tensor, which begins at `offset`.
pub(crate) fn remap(
    elem: Elem,
    offset: usize,
    tables: &[Vec<Option<usize>>],
    fill: u32,
) -> Dispatch {
    let rank = tables.len();
    let count: usize = tables.iter().map(Vec::len).product();
    let mut filling = Filling::default();
    filling.param("count", word(count));
    filling.param("offset", word(offset));
    filling.param("bits", fill);
    let sizes = filling.row(tables.iter().map(|table| word(table.len())));
    filling.text("split", split_text("c", "i", rank, sizes));
    let begins = begin(&mut filling, tables.iter().map(Vec::len));
    for table in tables {
        filling.row(table.iter().map(|place| place.map_or(NOWHERE, word)));
    }
    let look = |axis: usize| {
        format!(
            "    let step{axis} = params[params[{}] + u32(c{axis})];\n    \
             inside = inside && step{axis} != {NOWHERE}u;\n    place += step{axis};\n",
            begins + axis
        )
    };
    filling.text("look", (0..rank).map(look).collect::<String>());
    let (out, fill, value) = match elem {
        Elem::I32 => (Elem::I32, "bitcast<i32>({{bits}})", "value"),
        Elem::Bool => (Elem::Bool, "{{bits}} != 0u", "select(0u, 1u, value)"),
        Elem::F32 | Elem::F16 | Elem::BF16 | Elem::Q8_0 => {
            (Elem::F32, "float_of({{bits}})", "value")
        }
    };
    filling.text("fill", fill);
    filling.text("value", value);
    let bindings = Bindings::new().input("x", elem).output("y", out);
    let kernel = bindings.kernel(THREADS, TEMPLATE, &filling);
    Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
}

/// The entry of a table where nothing lies.
const NOWHERE: u32 = u32::MAX;

/// Parameters that say where each of some tables begins, which follow at once: where the first of these
/// parameters is.
fn begin(filling: &mut Filling, sizes: impl ExactSizeIterator<Item = usize> + Clone) -> usize {
    let first = filling.params.len() + sizes.len();
    let begins = sizes.scan(first, |next, size| {
        let at = *next;
        *next += size;
        Some(word(at))
    });
    filling.row(begins.collect::<Vec<u32>>())
}
