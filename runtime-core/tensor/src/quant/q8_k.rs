//! `Q8_K`: 256 signed bytes, one float scale, and the sum of every 16 bytes.
//!
//! The sums serve dot products with formats that have a minimum; decoding does not read them.

use super::BlockFormat;
use super::codec::{decode_blocks, encode_blocks, nearest, peak, u32_at};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "q8_k",
    ggml_type: 15,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const SUMS_AT: usize = 4 + ELEMENTS;
const BYTES: usize = SUMS_AT + ELEMENTS / 16 * 2;

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = f32::from_bits(u32_at(block, 0));
    for (value, &quant) in out.iter_mut().zip(&block[4..SUMS_AT]) {
        *value = scale * f32::from(quant.cast_signed());
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let peak = peak(values);
    if peak == 0.0 {
        return;
    }
    let inverse = -127.0 / peak;
    block[..4].copy_from_slice(&(1.0 / inverse).to_le_bytes());
    let (quants, sums) = block[4..].split_at_mut(ELEMENTS);
    for ((values, quants), sum) in values
        .as_chunks::<16>()
        .0
        .iter()
        .zip(quants.as_chunks_mut::<16>().0)
        .zip(sums.as_chunks_mut().0)
    {
        let mut total = 0_i16;
        for (value, stored) in values.iter().zip(quants) {
            let quant = nearest(inverse * value).clamp(-128, 127) as i8;
            total += i16::from(quant);
            *stored = quant.cast_unsigned();
        }
        *sum = total.to_le_bytes();
    }
}
