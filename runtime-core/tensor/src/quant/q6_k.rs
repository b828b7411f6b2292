//! `Q6_K`: 256 elements of 6 bits around zero (the high two bits apart); every 16 share a signed byte
//! as scale, which one half float scales.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, nearest, peak, put_half, through_half,
};
use super::search::{NEARLY_ZERO, symmetric};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q6_k",
    ggml_type: 14,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const GROUP: usize = 16;
const HIGH_AT: usize = ELEMENTS / 2;
const SCALES_AT: usize = HIGH_AT + ELEMENTS / 4;
const HALF_AT: usize = SCALES_AT + ELEMENTS / GROUP;
const BYTES: usize = HALF_AT + 2;
const LOW: Lanes = Lanes { stride: 64, bits: 4 };
const HIGH: Lanes = Lanes { stride: 32, bits: 2 };

fn scale_of(block: &[u8; BYTES], group: usize) -> f32 {
    f32::from(block[SCALES_AT + group].cast_signed())
}

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, HALF_AT);
    for (at, value) in out.iter_mut().enumerate() {
        let quant = LOW.get(block, at) | HIGH.get(&block[HIGH_AT..], at) << 4;
        *value = scale * scale_of(block, at / GROUP) * centred(quant, 32);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let mut quants = [[0; GROUP]; ELEMENTS / GROUP];
    let mut scales = [0.0; ELEMENTS / GROUP];
    let groups = values.as_chunks::<GROUP>().0;
    for (at, group) in groups.iter().enumerate() {
        scales[at] = symmetric(group, 32, &mut quants[at]);
    }
    let peak = peak(&scales);
    if peak.abs() < NEARLY_ZERO {
        return;
    }
    let inverse = -128.0 / peak;
    put_half(block, HALF_AT, 1.0 / inverse);
    for (group, scale) in scales.iter().enumerate() {
        let stored = nearest(inverse * scale).clamp(-128, 127) as i8;
        block[SCALES_AT + group] = stored.cast_unsigned();
    }
    let scale = through_half(1.0 / inverse);
    for (at, (group, quants)) in groups.iter().zip(&mut quants).enumerate() {
        let scale = scale * scale_of(block, at);
        if scale != 0.0 {
            *quants = group.map(|value| (nearest(value / scale).clamp(-32, 31) + 32) as u8);
        }
        for (lane, &quant) in quants.iter().enumerate() {
            LOW.put(block, at * GROUP + lane, quant);
            HIGH.put(&mut block[HIGH_AT..], at * GROUP + lane, quant >> 4);
        }
    }
}
