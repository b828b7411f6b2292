//! `TQ2_0`: 256 elements of -1, 0 or 1, four to a byte, and one half-float scale.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, inverse, peak, put_half,
};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "tq2_0",
    ggml_type: 35,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const SCALE_AT: usize = ELEMENTS / 4;
const BYTES: usize = SCALE_AT + 2;
const QUANTS: Lanes = Lanes { stride: 32, bits: 2 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, SCALE_AT);
    for (at, value) in out.iter_mut().enumerate() {
        *value = scale * centred(QUANTS.get(block, at), 1);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values).abs();
    let inverse = inverse(scale);
    for (at, value) in values.iter().enumerate() {
        let trit = (value * inverse).round() + 1.0;
        QUANTS.put(block, at, trit as u8);
    }
    put_half(block, SCALE_AT, scale);
}
