//! Many rows: both matrices are taken into memory of the workgroup tile by tile.

use super::{ExprError, Product, Rows};
use crate::shaders::source::{Dispatch, Filling};

/// Rows and columns of a tile.
const SIDE: usize = 64;
const THREADS: u32 = 256;

/// Which of so many elements of a tile of 16 by 64 an invocation takes: neighbours along the sums, or
/// along the side.
fn turns(along_sums: bool) -> (&'static str, &'static str) {
    if along_sums { ("e % 16u", "e / 16u") } else { ("e / 64u", "e % 64u") }
}

fn load_a(along_sums: bool) -> String {
    let (step, side) = turns(along_sums);
    format!(
        "        for (var e = lane; e < 1024u; e += {{{{threads}}}}) {{
            let step = {step};
            let side = {side};
            let row = first_row + side;
            let at = first + step;
            var value = 0.0;
            if row < {{{{m}}}} && at < {{{{k}}}} {{
                value = {{{{a}}}};
            }}
            a_tile[step * 65u + side] = value;
        }}"
    )
}

fn load_b(along_sums: bool) -> String {
    let (step, side) = turns(along_sums);
    format!(
        "        for (var e = lane; e < 1024u; e += {{{{threads}}}}) {{
            let step = {step};
            let side = {side};
            let column = first_column + side;
            let at = first + step;
            var value = 0.0;
            if column < {{{{n}}}} && at < {{{{k}}}} {{
                value = {{{{b}}}};
            }}
            b_tile[step * 65u + side] = value;
        }}"
    )
}

/// Four neighbours of a block for each invocation; rows of blocks are a whole number of tiles long.
const LOAD_BLOCKS: &str = "        {
            let step = (lane % 4u) * 4u;
            let side = lane / 4u;
            let column = first_column + side;
            let at = first + step;
            var four = vec4<f32>();
            if column < {{n}} {
                four = {{b}};
            }
            let to = step * 65u + side;
            b_tile[to] = four.x;
            b_tile[to + 65u] = four.y;
            b_tile[to + 130u] = four.z;
            b_tile[to + 195u] = four.w;
        }";

pub(super) fn dispatch(product: &Product) -> Result<Dispatch, ExprError> {
    let (bindings, own) = product.prepare()?;
    let mut filling = Filling::default();
    filling.text("functions", product.right.functions());
    filling.text("load_a", load_a(product.left.along_sums()));
    let load = match product.right.rows {
        Rows::Plain { .. } | Rows::Patches { .. } => load_b(product.right.along_sums()),
        Rows::Blocks { .. } => LOAD_BLOCKS.to_owned(),
    };
    filling.text("load_b", load);
    filling.then(own);
    let [m, n, _] = product.sizes;
    let tiles = m.div_ceil(SIDE) * n.div_ceil(SIDE) * product.products();
    let kernel = bindings.kernel(THREADS, include_str!("tiled.wgsl"), &filling);
    Ok(Dispatch { kernel, launch: filling.launch(tiles) })
}
