//! `Q4_0`: 32 elements of 4 bits around zero and one half-float scale.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, inverse, peak, put_half,
};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q4_0",
    ggml_type: 2,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 2 + ELEMENTS / 2;
const QUANTS: Lanes = Lanes { stride: 16, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (at, value) in out.iter_mut().enumerate() {
        *value = scale * centred(QUANTS.get(&block[2..], at), 8);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values) / -8.0;
    let inverse = inverse(scale);
    put_half(block, 0, scale);
    for (at, value) in values.iter().enumerate() {
        let quant = (value * inverse + 8.5) as u8;
        QUANTS.put(&mut block[2..], at, quant.min(15));
    }
}
