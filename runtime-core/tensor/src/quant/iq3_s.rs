//! `IQ3_S`: four elements at a time from a codebook of 512, with a sign bit each; every 32 share a
//! 4-bit scale, which one half float scales.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, half_at};
use super::grids::{Three, four_and_four, iq3_s::GRID};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq3_s",
    ggml_type: 21,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const HIGH_AT: usize = 2 + ELEMENTS / 4;
const SIGNS_AT: usize = HIGH_AT + ELEMENTS / 32;
const SCALES_AT: usize = SIGNS_AT + ELEMENTS / 8;
const BYTES: usize = SCALES_AT + ELEMENTS / 64;
const HIGH: Lanes = Lanes { stride: 1, bits: 1 };
const SCALES: Lanes = Lanes { stride: 1, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, values) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let of_group = SCALES.get(&block[SCALES_AT..], at / 4);
        let scale = scale * f32::from(1 + 2 * of_group);
        let entries = [2 * at, 2 * at + 1].map(|place| {
            let high = usize::from(HIGH.get(&block[HIGH_AT..], place));
            GRID[usize::from(block[2 + place]) | high << 8]
        });
        four_and_four(Three::S, entries, scale, block[SIGNS_AT + at], values);
    }
}
