//! `Q2_0`: 64 elements of 2 bits (-1, 0, 1, 2) and one half-float scale.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, inverse, peak, put_half,
};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q2_0",
    ggml_type: 42,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 64;
const BYTES: usize = 2 + ELEMENTS / 4;
const QUANTS: Lanes = Lanes { stride: 1, bits: 2 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, value) in out.iter_mut().enumerate() {
        *value = scale * centred(QUANTS.get(&block[2..], at), 1);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values).abs();
    let inverse = inverse(scale);
    put_half(block, 0, scale);
    for (at, value) in values.iter().enumerate() {
        let quant = (value * inverse).round() + 1.0;
        QUANTS.put(&mut block[2..], at, (quant as u8).min(3));
    }
}
