//! `IQ2_XXS`: eight elements at a time from a codebook of 256, with seven sign bits; every 32 share a
//! 4-bit scale, which one half float scales.

use super::BlockFormat;
use super::codec::{decode_blocks, half_at, u32_at};
use super::grids::{eight, iq2_xxs::GRID, with_parity};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq2_xxs",
    ggml_type: 16,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const BYTES: usize = 2 + ELEMENTS / 4;

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    let groups = block[2..].as_chunks::<8>().0;
    for (group, values) in groups.iter().zip(out.as_chunks_mut::<32>().0) {
        let word = u32_at(group, 4);
        let scale = scale * (0.5 + (word >> 28) as f32) * 0.25;
        for (at, values) in values.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let signs = with_parity((word >> (7 * at) & 127) as u8);
            eight(GRID[usize::from(group[at])], scale, signs, values);
        }
    }
}
