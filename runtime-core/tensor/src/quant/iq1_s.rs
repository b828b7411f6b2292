//! `IQ1_S`: eight elements at a time from a codebook of 2048; every 32 share a 3-bit scale, which one
//! half float scales, and a small shift up or down.

use super::BlockFormat;
use super::codec::{decode_blocks, half_at, u16_at};
use super::grids::{iq1::GRID, shifted};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq1_s",
    ggml_type: 19,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const HIGH_AT: usize = 2 + ELEMENTS / 8;
const BYTES: usize = HIGH_AT + ELEMENTS / 16;
/// How far the levels move.
pub(super) const SHIFT: f32 = 0.125;

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let word = u16_at(block, HIGH_AT + 2 * group);
        let scale = scale * f32::from(2 * (word >> 12 & 7) + 1);
        let shift = if word >> 15 == 0 { SHIFT } else { -SHIFT };
        for (at, values) in values.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let high = usize::from(word >> (3 * at) & 7);
            let entry = GRID[usize::from(block[2 + 4 * group + at]) | high << 8];
            shifted(entry, scale, shift, values);
        }
    }
}
