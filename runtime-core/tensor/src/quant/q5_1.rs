//! `Q5_1`: 32 elements of 5 bits above a minimum (the fifth bits apart), with a half-float scale and
//! minimum.

use super::BlockFormat;
use super::codec::{Lanes, bounds, decode_blocks, encode_blocks, half_at, inverse, put_half};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q5_1",
    ggml_type: 7,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 4 + ELEMENTS / 8 + ELEMENTS / 2;
const LOW: Lanes = Lanes { stride: 16, bits: 4 };
const HIGH: Lanes = Lanes { stride: 1, bits: 1 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, min) = (half_at(block, 0), half_at(block, 2));
    for (at, value) in out.iter_mut().enumerate() {
        let quant = LOW.get(&block[8..], at) | HIGH.get(&block[4..8], at) << 4;
        *value = scale * f32::from(quant) + min;
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let (min, max) = bounds(values);
    let scale = (max - min) / 31.0;
    let inverse = inverse(scale);
    put_half(block, 0, scale);
    put_half(block, 2, min);
    for (at, value) in values.iter().enumerate() {
        let quant = (((value - min) * inverse + 0.5) as u8).min(31);
        LOW.put(&mut block[8..], at, quant);
        HIGH.put(&mut block[4..8], at, quant >> 4);
    }
}
