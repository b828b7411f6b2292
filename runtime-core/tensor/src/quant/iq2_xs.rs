//! `IQ2_XS`: eight elements at a time from a codebook of 512, with seven sign bits; every 16 share a
//! 4-bit scale, which one half float scales.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, half_at, u16_at};
use super::grids::{eight, iq2_xs::GRID, with_parity};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq2_xs",
    ggml_type: 17,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const SCALES_AT: usize = 2 + ELEMENTS / 4;
const BYTES: usize = SCALES_AT + ELEMENTS / 32;
const SCALES: Lanes = Lanes { stride: 1, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, values) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let of_group = SCALES.get(&block[SCALES_AT..], at / 2);
        let scale = scale * (0.5 + f32::from(of_group)) * 0.25;
        let word = u16_at(block, 2 + 2 * at);
        eight(GRID[usize::from(word & 511)], scale, with_parity((word >> 9) as u8), values);
    }
}
