//! `IQ1_M`: eight elements at a time from `IQ1_S`'s codebook, each with its own shift; every 16 share a
//! 3-bit scale. The half float over the scales is spread over the top four bits of the scale words.

use half::f16;

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, u16_at};
use super::grids::{iq1::GRID, shifted};
use super::iq1_s::SHIFT;

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq1_m",
    ggml_type: 29,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const HIGH_AT: usize = ELEMENTS / 8;
const SCALES_AT: usize = HIGH_AT + ELEMENTS / 16;
const BYTES: usize = SCALES_AT + ELEMENTS / 32;
const HIGH: Lanes = Lanes { stride: 1, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let words = [0, 1, 2, 3].map(|word| u16_at(block, SCALES_AT + 2 * word));
    let bits = words.iter().rev().fold(0, |bits, word| bits << 4 | word >> 12);
    let scale = f16::from_bits(bits).to_f32();
    for (at, values) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let group = at / 2;
        let of_group = words[group / 4] >> (3 * (group % 4)) & 7;
        let high = HIGH.get(&block[HIGH_AT..], at);
        let shift = if high & 8 == 0 { SHIFT } else { -SHIFT };
        let entry = GRID[usize::from(block[at]) | usize::from(high & 7) << 8];
        shifted(entry, scale * f32::from(2 * of_group + 1), shift, values);
    }
}
