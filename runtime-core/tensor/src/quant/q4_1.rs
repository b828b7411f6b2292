//! `Q4_1`: 32 elements of 4 bits above a minimum, with a half-float scale and minimum.

use super::BlockFormat;
use super::codec::{Lanes, bounds, decode_blocks, encode_blocks, half_at, inverse, put_half};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q4_1",
    ggml_type: 3,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 4 + ELEMENTS / 2;
const QUANTS: Lanes = Lanes { stride: 16, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, min) = (half_at(block, 0), half_at(block, 2));
    for (at, value) in out.iter_mut().enumerate() {
        *value = scale * f32::from(QUANTS.get(&block[4..], at)) + min;
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let (min, max) = bounds(values);
    let scale = (max - min) / 15.0;
    let inverse = inverse(scale);
    put_half(block, 0, scale);
    put_half(block, 2, min);
    for (at, value) in values.iter().enumerate() {
        let quant = ((value - min) * inverse + 0.5) as u8;
        QUANTS.put(&mut block[4..], at, quant.min(15));
    }
}
