//! `IQ3_XXS`: four elements at a time from a codebook of 256, with seven sign bits for eight; every 32
//! share a 4-bit scale, which one half float scales.

use super::BlockFormat;
use super::codec::{decode_blocks, half_at, u32_at};
use super::grids::{Three, four_and_four, iq3_xxs::GRID, with_parity};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq3_xxs",
    ggml_type: 18,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: None,
};

const ELEMENTS: usize = 256;
const WORDS_AT: usize = 2 + ELEMENTS / 4;
const BYTES: usize = WORDS_AT + ELEMENTS / 8;

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    let places = block[2..WORDS_AT].as_chunks::<8>().0;
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let word = u32_at(block, WORDS_AT + 4 * group);
        let scale = scale * (0.5 + (word >> 28) as f32) * 0.5;
        for (at, values) in values.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let entries = [places[group][2 * at], places[group][2 * at + 1]];
            let entries = entries.map(|place| GRID[usize::from(place)]);
            let signs = with_parity((word >> (7 * at) & 127) as u8);
            four_and_four(Three::Xxs, entries, scale, signs, values);
        }
    }
}
