//! Tensors put together from elements of another by tables, one per axis: every mode of `Pad`, nearest
//! neighbours, repeats, orders. And weighted sums of neighbours, which resizes images.

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
        Elem::F32 | Elem::F16 | Elem::BF16 => (Elem::F32, "float_of({{bits}})", "value"),
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

/// Which elements of an axis, and how much of each, make each place of the result: as many for all.
pub(crate) type Taps = Vec<Vec<(usize, f32)>>;

const RESIZE: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let column = i % {{columns}};
    let row = (i / {{columns}}) % {{rows}};
    let plane = i / ({{columns}} * {{rows}});
    let origin = plane * {{height}} * {{width}};
    var sum = 0.0;
    for (var v = 0u; v < {{row_taps}}; v += 1u) {
        let of_row = {{row_table}} + (row * {{row_taps}} + v) * 2u;
        let line = origin + params[of_row] * {{width}};
        var part = 0.0;
        for (var h = 0u; h < {{column_taps}}; h += 1u) {
            let of_column = {{column_table}} + (column * {{column_taps}} + h) * 2u;
            let share = bitcast<f32>(params[of_column + 1u]);
            // What counts nothing may be infinite.
            if share != 0.0 {
                part += share * x_at(line + params[of_column]);
            }
        }
        let share = bitcast<f32>(params[of_row + 1u]);
        if share != 0.0 {
            sum += share * part;
        }
    }
    y[i] = sum;
}
";

/// Images of so many planes resized along two axes. The input is the images, in order.
pub(crate) fn resize(elem: Elem, planes: usize, image: [usize; 2], taps: [&Taps; 2]) -> Dispatch {
    let [rows, columns] = taps.map(Vec::len);
    let count = planes * rows * columns;
    let each = taps.map(|taps| taps.first().map_or(0, Vec::len));
    let mut filling = Filling::default();
    filling.param("count", word(count));
    filling.param("rows", word(rows));
    filling.param("columns", word(columns));
    filling.param("height", word(image[0]));
    filling.param("width", word(image[1]));
    filling.param("row_taps", word(each[0]));
    filling.param("column_taps", word(each[1]));
    let first = filling.params.len() + 2;
    filling.param("row_table", word(first));
    filling.param("column_table", word(first + rows * each[0] * 2));
    for taps in taps {
        filling.row(taps.iter().flatten().flat_map(|&(at, share)| [word(at), share.to_bits()]));
    }
    let bindings = Bindings::new().input("x", elem).output("y", Elem::F32);
    let kernel = bindings.kernel(THREADS, RESIZE, &filling);
    Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
}
