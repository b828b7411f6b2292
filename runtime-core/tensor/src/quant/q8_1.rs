//! `Q8_1`: 32 signed bytes, one half-float scale, and the sum of the decoded values as a half float.
//!
//! The sum serves dot products with formats that have a minimum; decoding does not read it.

use super::BlockFormat;
use super::codec::{decode_blocks, encode_blocks, half_at, inverse, peak, put_half};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q8_1",
    ggml_type: 9,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 4 + ELEMENTS;

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (value, &quant) in out.iter_mut().zip(&block[4..]) {
        *value = scale * f32::from(quant.cast_signed());
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values).abs() / 127.0;
    let inverse = inverse(scale);
    let mut sum = 0_i16;
    for (value, stored) in values.iter().zip(&mut block[4..]) {
        let quant = (value * inverse).round() as i8;
        sum += i16::from(quant);
        *stored = quant.cast_unsigned();
    }
    put_half(block, 0, scale);
    put_half(block, 2, f32::from(sum) * scale);
}
