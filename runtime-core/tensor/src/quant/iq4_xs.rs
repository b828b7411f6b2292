//! `IQ4_XS`: 256 places in `IQ4_NL`'s codebook; every 32 share a signed 6-bit scale, which one half
//! float scales.

use super::BlockFormat;
use super::codec::{
    Lanes, centred, decode_blocks, encode_blocks, half_at, inverse, nearest, peak, put_half,
};
use super::iq4_nl::LEVELS;
use super::search::{in_codebook, nearest_in};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "iq4_xs",
    ggml_type: 23,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const GROUP: usize = 32;
const SCALES_HIGH_AT: usize = 2;
const SCALES_LOW_AT: usize = 4;
const QUANTS_AT: usize = 8;
const BYTES: usize = QUANTS_AT + ELEMENTS / 2;
const QUANTS: Lanes = Lanes { stride: 16, bits: 4 };
const SCALE_HIGH: Lanes = Lanes { stride: 1, bits: 2 };
const SCALE_LOW: Lanes = Lanes { stride: 1, bits: 4 };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, 0);
    for (group, values) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let low = SCALE_LOW.get(&block[SCALES_LOW_AT..], group);
        let high = SCALE_HIGH.get(&block[SCALES_HIGH_AT..], group);
        let scale = scale * centred(low | high << 4, 32);
        for (lane, value) in values.iter_mut().enumerate() {
            let place = QUANTS.get(&block[QUANTS_AT..], group * GROUP + lane);
            *value = scale * f32::from(LEVELS[usize::from(place)]);
        }
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let groups = values.as_chunks::<GROUP>().0;
    let mut scales = [0.0; ELEMENTS / GROUP];
    for (scale, group) in scales.iter_mut().zip(groups) {
        *scale = in_codebook(group, &LEVELS, Some(7)).0;
    }
    let scale = -peak(&scales) / 32.0;
    put_half(block, 0, scale);
    for (at, group) in groups.iter().enumerate() {
        let level = nearest(inverse(scale) * scales[at]).clamp(-32, 31);
        let stored = (level + 32) as u8;
        SCALE_LOW.put(&mut block[SCALES_LOW_AT..], at, stored);
        SCALE_HIGH.put(&mut block[SCALES_HIGH_AT..], at, stored >> 4);
        let inverse = inverse(scale * level as f32);
        for (lane, value) in group.iter().enumerate() {
            let place = nearest_in(&LEVELS, inverse * value);
            QUANTS.put(&mut block[QUANTS_AT..], at * GROUP + lane, place);
        }
    }
}
