//! `IQ4_NL`: 32 places in a codebook of 16 uneven levels, and one half-float scale.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, encode_blocks, half_at, put_half};
use super::search::in_codebook;

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq4_nl",
    ggml_type: 20,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 2 + ELEMENTS / 2;
const QUANTS: Lanes = Lanes { stride: 16, bits: 4 };

/// The levels, denser around zero, where weights are.
pub(super) const LEVELS: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, value) in out.iter_mut().enumerate() {
        let place = QUANTS.get(&block[2..], at);
        *value = scale * f32::from(LEVELS[usize::from(place)]);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let (scale, places) = in_codebook(values, &LEVELS, None);
    put_half(block, 0, scale);
    for (at, &place) in places.iter().enumerate() {
        QUANTS.put(&mut block[2..], at, place);
    }
}
