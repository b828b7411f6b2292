//! Elements by index along an axis: of plain tensors, and rows of blocks.

use super::blocks::Blocks;
use super::source::{Bindings, Dispatch, Elem, Filling, word};

const THREADS: u32 = 64;

const PLAIN: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let inner = i % {{inner}};
    let rest = i / {{inner}};
    let index = indices[rest % {{indices}}];
    let kept = clamp(select(index, index + i32({{axis}}), index < 0), 0, i32({{axis}}) - 1);
    let value = x_at(((rest / {{indices}}) * {{axis}} + u32(kept)) * {{inner}} + inner);
    y[i] = {{value}};
}
";

const BLOCKS: &str = "\
{{functions}}
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    let fours = {{inner}} / 4u;
    if i >= {{indices}} * fours {
        return;
    }
    let at = (i % fours) * 4u;
    let index = indices[i / fours];
    let kept = clamp(select(index, index + i32({{axis}}), index < 0), 0, i32({{axis}}) - 1);
    let four = block4({{offset}} + u32(kept) * {{row}}, at);
    let to = (i / fours) * {{inner}} + at;
    y[to] = four.x;
    y[to + 1u] = four.y;
    y[to + 2u] = four.z;
    y[to + 3u] = four.w;
}
";

/// `Gather` from a tensor that lies in order: `outer` times `axis` times `inner`, by so many indices. The
/// inputs are the tensor and the indices, [`Elem::I32`]; negative ones count from the end, and what leads
/// outside leads to the edge. Halves become floats.
pub(crate) fn gather(elem: Elem, [outer, axis, inner]: [usize; 3], indices: usize) -> Dispatch {
    let count = if axis == 0 { 0 } else { outer * indices * inner };
    let mut filling = Filling::default();
    filling.param("count", word(count));
    filling.param("inner", word(inner));
    filling.param("indices", word(indices));
    filling.param("axis", word(axis));
    let out = elem.read_as();
    filling.text("value", if out == Elem::Bool { "select(0u, 1u, value)" } else { "value" });
    let bindings = Bindings::new().input("x", elem).integers("indices").output("y", out);
    let kernel = bindings.kernel(THREADS, PLAIN, &filling);
    Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
}

/// Rows of blocks as floats: of so many rows of so many elements, the first beginning at a byte. The
/// inputs are the blocks and the indices.
pub(crate) fn gather_blocks(
    blocks: Blocks,
    [rows, width]: [usize; 2],
    offset_bytes: usize,
    indices: usize,
) -> Dispatch {
    let count = if rows == 0 { 0 } else { indices * (width / 4) };
    let mut filling = Filling::default();
    filling.text("functions", blocks.text());
    filling.param("inner", word(width));
    filling.param("indices", word(indices));
    filling.param("axis", word(rows));
    filling.param("offset", word(offset_bytes));
    filling.param("row", word(width / blocks.elements() * blocks.bytes()));
    let bindings = Bindings::new().words("b").integers("indices").output("y", Elem::F32);
    let kernel = bindings.kernel(THREADS, BLOCKS, &filling);
    Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
}
