//! NVFP4: 64 four-bit floats (E2M1); every 16 share a scale that is an unsigned 8-bit float (E4M3).

use super::BlockFormat;
use super::codec::{E2M1_DOUBLED, Lanes, decode_blocks, encode_blocks, nearest_e2m1, peak};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "nvfp4",
    ggml_type: 40,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 64;
const GROUP: usize = 16;
const SCALES: usize = ELEMENTS / GROUP;
const BYTES: usize = SCALES + ELEMENTS / 2;
const QUANTS: Lanes = Lanes { stride: 8, bits: 4 };
/// The first scale of the largest exponent: the reference rounds all of that octave to its top.
const TOP_OCTAVE: u32 = 15 << 3;
/// The largest finite scale.
const MAX_SCALE: u8 = 0x7E;

/// Half of the number that `bits` stands for; the NaN pattern means 0 and the sign is not read.
fn half_scale(bits: u8) -> f32 {
    let (exponent, mantissa) = (bits >> 3 & 15, f32::from(bits & 7));
    match (bits, exponent) {
        (0x7F, _) => 0.0,
        (_, 0) => mantissa / 1024.0,
        _ => (1.0 + mantissa / 8.0) * f32::from_bits((u32::from(exponent) + 119) << 23),
    }
}

/// The scale nearest to `value`: the mantissa rounds half up, too large saturates.
fn to_scale(value: f32) -> u8 {
    let bits = value.min(448.0).to_bits();
    if value.is_nan() || value <= 0.0 {
        return 0;
    }
    let Some(exponent @ 1..) = (bits >> 23 & 0xFF).checked_sub(120) else {
        return ((value * 512.0 + 0.5) as u8).min(7);
    };
    let rounded = (exponent << 3 | bits >> 20 & 7) + (bits >> 19 & 1);
    if rounded < TOP_OCTAVE { rounded as u8 } else { MAX_SCALE }
}

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let (scales, quants) = block.split_at(SCALES);
    for (at, value) in out.iter_mut().enumerate() {
        let code = QUANTS.get(quants, at);
        *value = half_scale(scales[at / GROUP]) * f32::from(E2M1_DOUBLED[usize::from(code)]);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let (scales, quants) = block.split_at_mut(SCALES);
    for (scale, group) in scales.iter_mut().zip(values.as_chunks::<GROUP>().0) {
        *scale = to_scale(peak(group).abs() / 6.0);
    }
    for (at, &value) in values.iter().enumerate() {
        QUANTS.put(quants, at, nearest_e2m1(value, half_scale(scales[at / GROUP])));
    }
}
