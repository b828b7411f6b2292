//! `Q1_0`: 128 signs and one half-float magnitude, the mean of the absolute values.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, encode_blocks, half_at, put_half};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q1_0",
    ggml_type: 41,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 128;
const BYTES: usize = 2 + ELEMENTS / 8;
const SIGNS: Lanes = Lanes { stride: 1, bits: 1 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, value) in out.iter_mut().enumerate() {
        *value = if SIGNS.get(&block[2..], at) == 1 { scale } else { -scale };
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let total = values.iter().fold(0.0, |total, value| total + value.abs());
    put_half(block, 0, total / 128.0);
    for (at, &value) in values.iter().enumerate() {
        SIGNS.put(&mut block[2..], at, u8::from(value >= 0.0));
    }
}
