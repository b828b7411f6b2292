//! `Q8_0`: 32 signed bytes and one half-float scale.

use super::BlockFormat;
use super::codec::{decode_blocks, encode_blocks, half_at, inverse, peak, put_half};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q8_0",
    ggml_type: 8,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 2 + ELEMENTS;

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (value, &quant) in out.iter_mut().zip(&block[2..]) {
        *value = scale * f32::from(quant.cast_signed());
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values).abs() / 127.0;
    let inverse = inverse(scale);
    put_half(block, 0, scale);
    for (value, quant) in values.iter().zip(&mut block[2..]) {
        *quant = ((value * inverse).round() as i8).cast_unsigned();
    }
}
