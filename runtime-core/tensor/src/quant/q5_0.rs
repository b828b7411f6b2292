//! `Q5_0`: 32 elements of 5 bits around zero (the fifth bits apart) and one half-float scale.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, inverse, peak, put_half,
};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q5_0",
    ggml_type: 6,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 2 + ELEMENTS / 8 + ELEMENTS / 2;
const LOW: Lanes = Lanes { stride: 16, bits: 4 };
const HIGH: Lanes = Lanes { stride: 1, bits: 1 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, value) in out.iter_mut().enumerate() {
        let quant = LOW.get(&block[6..], at) | HIGH.get(&block[2..6], at) << 4;
        *value = scale * centred(quant, 16);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values) / -16.0;
    let inverse = inverse(scale);
    put_half(block, 0, scale);
    for (at, value) in values.iter().enumerate() {
        let quant = ((value * inverse + 16.5) as u8).min(31);
        LOW.put(&mut block[6..], at, quant);
        HIGH.put(&mut block[2..6], at, quant >> 4);
    }
}
