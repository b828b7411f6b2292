//! `TQ1_0`: 256 elements of -1, 0 or 1, five to a byte in base 3, and one half-float scale.
//!
//! A byte holds its five digits as a fraction of 243, rounded up to a fraction of 256: multiplying
//! by 3 pushes the next digit out at the top.

use super::BlockFormat;
use super::codec::{centred, decode_blocks, encode_blocks, half_at, inverse, peak, put_half};

pub(super) static FORMAT: BlockFormat = BlockFormat {
    name: "tq1_0",
    ggml_type: 34,
    elements: ELEMENTS,
    bytes: BYTES,
    dequantize: |bytes, out| decode_blocks(bytes, out, decode),
    quantize: Some(|values, out| encode_blocks(values, out, encode)),
};

const ELEMENTS: usize = 256;
const SCALE_AT: usize = 52;
const BYTES: usize = SCALE_AT + 2;
const POWERS: [u8; 5] = [1, 3, 9, 27, 81];

/// Runs of bytes that share a digit order: first byte, bytes, first element, digits in use.
const RUNS: [(usize, usize, usize, usize); 3] = [(0, 32, 0, 5), (32, 16, 160, 5), (48, 4, 240, 4)];

/// The byte that holds element `index`, and its digit there.
fn place(index: usize) -> (usize, usize) {
    let (byte, stride, first, _) = match index {
        0..160 => RUNS[0],
        160..240 => RUNS[1],
        _ => RUNS[2],
    };
    (byte + (index - first) % stride, (index - first) / stride)
}

fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = half_at(block, SCALE_AT);
    for (at, value) in out.iter_mut().enumerate() {
        let (byte, digit) = place(at);
        let shifted = block[byte].wrapping_mul(POWERS[digit]);
        *value = scale * centred(((u16::from(shifted) * 3) >> 8) as u8, 1);
    }
}

fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = peak(values).abs();
    let inverse = inverse(scale);
    for (byte, stride, first, digits) in RUNS {
        for lane in 0..stride {
            let mut number = 0_u16;
            for digit in 0..digits {
                let trit = (values[first + digit * stride + lane] * inverse).round() + 1.0;
                number += u16::from((trit as u8).min(2)) * u16::from(POWERS[4 - digit]);
            }
            block[byte + lane] = (number * 256).div_ceil(243) as u8;
        }
    }
    put_half(block, SCALE_AT, scale);
}
