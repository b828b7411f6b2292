//! `Q2_K`: 256 elements of 2 bits; every 16 share a 4-bit scale and a 4-bit minimum, which two half
//! floats scale.

use super::BlockFormat;
use super::codec::{Lanes, decode_blocks, encode_blocks, half_at, nearest, put_half, through_half};
use super::search::{Ladder, with_minimum};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q2_k",
    ggml_type: 10,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const GROUP: usize = 16;
const QUANTS_AT: usize = ELEMENTS / GROUP;
const SCALE_AT: usize = QUANTS_AT + ELEMENTS / 4;
const BYTES: usize = SCALE_AT + 4;
const QUANTS: Lanes = Lanes { stride: 32, bits: 2 };
const LADDER: Ladder = Ladder { top: 3, first: -0.5, steps: 15, absolute: true };

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, min) = (half_at(block, SCALE_AT), half_at(block, SCALE_AT + 2));
    for (at, value) in out.iter_mut().enumerate() {
        let packed = block[at / GROUP];
        let quant = f32::from(QUANTS.get(&block[QUANTS_AT..], at));
        *value = scale * f32::from(packed & 15) * quant - min * f32::from(packed >> 4);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let mut quants = [[0; GROUP]; ELEMENTS / GROUP];
    let mut scales = [0.0; ELEMENTS / GROUP];
    let mut mins = [0.0; ELEMENTS / GROUP];
    let groups = values.as_chunks::<GROUP>().0;
    for (at, group) in groups.iter().enumerate() {
        let weights = group.map(f32::abs);
        (scales[at], mins[at]) = with_minimum(group, &weights, LADDER, &mut quants[at]);
    }
    let scale = nibbles(&scales, |at, nibble| block[at] |= nibble);
    let min = nibbles(&mins, |at, nibble| block[at] |= nibble << 4);
    put_half(block, SCALE_AT, scale);
    put_half(block, SCALE_AT + 2, min);
    for (at, (group, quants)) in groups.iter().zip(&mut quants).enumerate() {
        let scale = through_half(scale) * f32::from(block[at] & 15);
        let min = through_half(min) * f32::from(block[at] >> 4);
        if scale != 0.0 {
            *quants = group.map(|value| nearest((value + min) / scale).clamp(0, 3) as u8);
        }
        for (lane, &quant) in quants.iter().enumerate() {
            QUANTS.put(&mut block[QUANTS_AT..], at * GROUP + lane, quant);
        }
    }
}

/// Rounds each of `numbers` to a fifteenth of the largest and stores it; the scale of the fifteenths.
fn nibbles(numbers: &[f32], mut store: impl FnMut(usize, u8)) -> f32 {
    let max = numbers.iter().fold(0.0, |max, &number| if number > max { number } else { max });
    if max > 0.0 {
        for (at, number) in numbers.iter().enumerate() {
            store(at, nearest(15.0 / max * number).clamp(0, 15) as u8);
        }
    }
    max / 15.0
}
