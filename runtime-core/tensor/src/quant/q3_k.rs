//! `Q3_K`: 256 elements of 3 bits around zero (the third bits apart); every 16 share a signed 6-bit
//! scale, which one half float scales.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, nearest, peak, put_half, through_half,
};
use super::search::symmetric_by_descent;

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q3_k",
    ggml_type: 11,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const GROUP: usize = 16;
const LOW_AT: usize = ELEMENTS / 8;
const SCALES_AT: usize = LOW_AT + ELEMENTS / 4;
const HALF_AT: usize = SCALES_AT + 12;
const BYTES: usize = HALF_AT + 2;
const HIGH: Lanes = Lanes { stride: 32, bits: 1 };
const LOW: Lanes = Lanes { stride: 32, bits: 2 };
const SCALE_LOW: Lanes = Lanes { stride: 8, bits: 4 };
const SCALE_HIGH: Lanes = Lanes { stride: 4, bits: 2 };

fn scale_of(block: &[u8; BYTES], group: usize) -> f32 {
    let low = SCALE_LOW.get(&block[SCALES_AT..], group);
    let high = SCALE_HIGH.get(&block[SCALES_AT + 8..], group);
    centred(low | high << 4, 32)
}

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, HALF_AT);
    for (group, values) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let scale = scale * scale_of(block, group);
        for (lane, value) in values.iter_mut().enumerate() {
            let at = group * GROUP + lane;
            let quant = LOW.get(&block[LOW_AT..], at) | HIGH.get(block, at) << 2;
            *value = scale * centred(quant, 4);
        }
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let mut quants = [[0; GROUP]; ELEMENTS / GROUP];
    let mut scales = [0.0; ELEMENTS / GROUP];
    let groups = values.as_chunks::<GROUP>().0;
    for (at, group) in groups.iter().enumerate() {
        scales[at] = symmetric_by_descent(group, 4, &mut quants[at]);
    }
    let scale = put_scales(&scales, block);
    for (at, (group, quants)) in groups.iter().zip(&mut quants).enumerate() {
        let scale = scale * scale_of(block, at);
        if scale != 0.0 {
            *quants = group.map(|value| (nearest(value / scale).clamp(-4, 3) + 4) as u8);
        }
        for (lane, &quant) in quants.iter().enumerate() {
            LOW.put(&mut block[LOW_AT..], at * GROUP + lane, quant);
            HIGH.put(block, at * GROUP + lane, quant >> 2);
        }
    }
}

/// Stores the scales of the groups and the half float over them, which is returned.
fn put_scales(scales: &[f32], block: &mut [u8; BYTES]) -> f32 {
    let peak = peak(scales);
    if peak == 0.0 {
        return 0.0;
    }
    let inverse = -32.0 / peak;
    for (group, scale) in scales.iter().enumerate() {
        let stored = (nearest(inverse * scale).clamp(-32, 31) + 32) as u8;
        SCALE_LOW.put(&mut block[SCALES_AT..], group, stored);
        SCALE_HIGH.put(&mut block[SCALES_AT + 8..], group, stored >> 4);
    }
    put_half(block, HALF_AT, 1.0 / inverse);
    through_half(1.0 / inverse)
}
