//! What the formats share: walking over whole blocks, fields narrower than a byte, half floats and
//! small lookups.

use half::f16;

/// Decodes each whole block of `bytes` into its part of `out`.
pub(super) fn decode_blocks<const BYTES: usize, const ELEMENTS: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; ELEMENTS]),
) {
    for (block, values) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        decode(block, values);
    }
}

/// Encodes each whole block of `values` into its part of `out`, which is cleared first.
pub(super) fn encode_blocks<const BYTES: usize, const ELEMENTS: usize>(
    values: &[f32],
    out: &mut [u8],
    encode: impl Fn(&[f32; ELEMENTS], &mut [u8; BYTES]),
) {
    for (values, block) in values.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        block.fill(0);
        encode(values, block);
    }
}

/// How elements of a few bits lie in bytes: element `i` of a run of `stride` bytes sits in byte
/// `i % stride`; every `stride` elements the place in the byte moves up by `bits`, and when the
/// bytes are full the next run begins.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    /// Bytes between two fields of the same byte, counted in elements.
    pub(super) stride: usize,
    /// Bits of one element: 1, 2 or 4.
    pub(super) bits: usize,
}

impl Lanes {
    /// Element `index`.
    #[inline]
    pub(super) fn get(self, bytes: &[u8], index: usize) -> u8 {
        let (byte, shift) = self.place(index);
        bytes[byte] >> shift & ((1 << self.bits) - 1)
    }

    /// Writes element `index`, whose bits are still clear; bits of `value` past the width are cut.
    #[inline]
    pub(super) fn put(self, bytes: &mut [u8], index: usize, value: u8) {
        let (byte, shift) = self.place(index);
        bytes[byte] |= (value & ((1 << self.bits) - 1)) << shift;
    }

    #[inline]
    fn place(self, index: usize) -> (usize, usize) {
        let run = self.stride * (8 / self.bits);
        let byte = index / run * self.stride + index % self.stride;
        (byte, index % run / self.stride * self.bits)
    }
}

/// The half float at `at`.
#[inline]
pub(super) fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_bits(u16_at(bytes, at)).to_f32()
}

/// Writes `value`, rounded to a half float, at `at`.
#[inline]
pub(super) fn put_half(bytes: &mut [u8], at: usize, value: f32) {
    bytes[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
}

/// `value` as it reads after a round trip through a half float.
#[inline]
pub(super) fn through_half(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

/// The little-endian 16-bit word at `at`.
#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The little-endian 32-bit word at `at`.
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// `1 / value`, or 0 for 0: an all-zero block has scale 0 and must encode to zeros.
#[inline]
pub(super) fn inverse(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { 1.0 / value }
}

/// The first value of the largest magnitude, with its sign.
pub(super) fn peak(values: &[f32]) -> f32 {
    let mut peak = 0.0_f32;
    for &value in values {
        if value.abs() > peak.abs() {
            peak = value;
        }
    }
    peak
}

/// The smallest and the largest value.
pub(super) fn bounds(values: &[f32]) -> (f32, f32) {
    let first = values.first().copied().unwrap_or_default();
    values.iter().fold((first, first), |(low, high), &value| {
        (if value < low { value } else { low }, if value > high { value } else { high })
    })
}

/// The nearest integer, ties to even.
#[inline]
pub(super) fn nearest(value: f32) -> i32 {
    value.round_ties_even() as i32
}

/// A signed quantum stored with its offset, as a float.
#[inline]
pub(super) fn centred(stored: u8, offset: u8) -> f32 {
    f32::from(i16::from(stored) - i16::from(offset))
}

/// Twice the 4-bit floats (E2M1), which makes them integers; the scales are halved to match.
pub(super) const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The 4-bit float nearest to `value` at this scale; the lower code wins a tie.
pub(super) fn nearest_e2m1(value: f32, scale: f32) -> u8 {
    let mut best = (0, value.abs());
    for (code, &doubled) in (0..).zip(&E2M1_DOUBLED) {
        let error = (f32::from(doubled) * scale - value).abs();
        if error < best.1 {
            best = (code, error);
        }
    }
    best.0
}
