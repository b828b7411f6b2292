//! `IQ2_S`: eight elements at a time from a codebook of 1024, with eight sign bits; every 16 share a
//! 4-bit scale, which one half float scales.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, half_at};
use super::grids::{eight, iq2_s::GRID};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq2_s",
    ggml_type: 22,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const SIGNS_AT: usize = 2 + ELEMENTS / 8;
const HIGH_AT: usize = SIGNS_AT + ELEMENTS / 8;
const SCALES_AT: usize = HIGH_AT + ELEMENTS / 32;
const BYTES: usize = SCALES_AT + ELEMENTS / 32;
const HIGH: Lanes = Lanes { stride: 1, bits: 2 };
const SCALES: Lanes = Lanes { stride: 1, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, values) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let of_group = SCALES.get(&block[SCALES_AT..], at / 2);
        let scale = scale * (0.5 + f32::from(of_group)) * 0.25;
        let high = usize::from(HIGH.get(&block[HIGH_AT..], at));
        let entry = GRID[usize::from(block[2 + at]) | high << 8];
        eight(entry, scale, block[SIGNS_AT + at], values);
    }
}
