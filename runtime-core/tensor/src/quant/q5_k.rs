//! `Q5_K`: 256 elements of 5 bits (the fifth bits apart); every 32 share a 6-bit scale and a 6-bit
//! minimum, which two half floats scale.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, encode_blocks, half_at};
use super::scale6::{self, GROUP, PACKED, scale_and_min};
use super::search::Ladder;

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q5_k",
    ggml_type: 13,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const HIGH_AT: usize = 4 + PACKED;
const LOW_AT: usize = HIGH_AT + ELEMENTS / 8;
const BYTES: usize = LOW_AT + ELEMENTS / 2;
const HIGH: Lanes = Lanes { stride: 32, bits: 1 };
const LOW: Lanes = Lanes { stride: 32, bits: 4 };
const LADDER: Ladder = Ladder { top: 31, first: -0.5, steps: 15, absolute: false };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, min) = (half_at(block, 0), half_at(block, 2));
    for (group, values) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let (of_group, min_of_group) = scale_and_min(&block[4..HIGH_AT], group);
        let (scale, min) = (scale * of_group, min * min_of_group);
        for (lane, value) in values.iter_mut().enumerate() {
            let at = group * GROUP + lane;
            let quant = LOW.get(&block[LOW_AT..], at) | HIGH.get(&block[HIGH_AT..], at) << 4;
            *value = scale * f32::from(quant) - min;
        }
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let quants = scale6::encode(values, LADDER, block);
    for (at, &quant) in quants.as_flattened().iter().enumerate() {
        LOW.put(&mut block[LOW_AT..], at, quant);
        HIGH.put(&mut block[HIGH_AT..], at, quant >> 4);
    }
}
