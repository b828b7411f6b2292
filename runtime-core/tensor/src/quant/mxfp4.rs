//! MXFP4: 32 four-bit floats (E2M1) and one power-of-two scale (E8M0), as in the OCP microscaling
//! formats.

use super::BlockFormat;
use super::codec::{E2M1_DOUBLED, Lanes, decode_blocks, encode_blocks, nearest_e2m1, peak};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "mxfp4",
    ggml_type: 39,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 32;
const BYTES: usize = 1 + ELEMENTS / 2;
const QUANTS: Lanes = Lanes { stride: 16, bits: 4 };

/// Half of the power of two that `exponent` stands for; the two smallest are subnormal.
fn half_scale(exponent: u8) -> f32 {
    match exponent {
        0 | 1 => f32::from_bits(0x0020_0000 << exponent),
        _ => f32::from_bits((u32::from(exponent) - 1) << 23),
    }
}

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_scale(block[0]);
    for (at, value) in out.iter_mut().enumerate() {
        let code = QUANTS.get(&block[1..], at);
        *value = scale * f32::from(E2M1_DOUBLED[usize::from(code)]);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let peak = peak(values).abs();
    if peak > 0.0 {
        block[0] = (peak.log2().floor() - 2.0 + 127.0) as u8;
    }
    let scale = half_scale(block[0]);
    for (at, &value) in values.iter().enumerate() {
        QUANTS.put(&mut block[1..], at, nearest_e2m1(value, scale));
    }
}
