//! Arrays, which the compiler turns into whatever vectors the target has.

use half::{bf16, f16};
use remuda_simd::Portable;

use super::{Lanes, ROWS, VECTOR, Work};

#[inline(always)]
fn each<T: Copy + Default, U: Copy, const N: usize>(
    value: [U; N],
    change: impl Fn(U) -> T,
) -> [T; N] {
    let mut out = [T::default(); N];
    for (out, value) in out.iter_mut().zip(value) {
        *out = change(value);
    }
    out
}

#[inline(always)]
fn half_bits(bytes: &[u8; 2 * ROWS]) -> [u16; ROWS] {
    let mut bits = [0; ROWS];
    for (bits, pair) in bits.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *bits = u16::from_le_bytes(*pair);
    }
    bits
}

impl Lanes for Portable {
    type Bytes = [u8; VECTOR];
    type Ints = [i32; ROWS];
    type Floats = [f32; ROWS];
    type Quad = [i8; 4];

    const GROUPS: usize = 1;

    fn enter<W: Work>(self, work: W) {
        work.run(self);
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; VECTOR]) -> [u8; VECTOR] {
        *bytes
    }
    #[inline(always)]
    fn store(self, value: [u8; VECTOR], out: &mut [u8; VECTOR]) {
        *out = value;
    }
    #[inline(always)]
    fn field(self, value: [u8; VECTOR], shift: i32, mask: u8) -> [u8; VECTOR] {
        let count = shift.unsigned_abs();
        if shift < 0 {
            each(value, |byte| byte << count & mask)
        } else {
            each(value, |byte| byte >> count & mask)
        }
    }
    #[inline(always)]
    fn or(self, a: [u8; VECTOR], b: [u8; VECTOR]) -> [u8; VECTOR] {
        let mut out = a;
        for (out, b) in out.iter_mut().zip(b) {
            *out |= b;
        }
        out
    }
    #[inline(always)]
    fn add(self, value: [u8; VECTOR], summand: u8) -> [u8; VECTOR] {
        each(value, |byte| byte.wrapping_add(summand))
    }
    #[inline(always)]
    fn lookup(self, table: &[u8; 16], places: [u8; VECTOR]) -> [u8; VECTOR] {
        each(places, |place| table[usize::from(place & 15)])
    }
    #[inline(always)]
    fn quad(self, bytes: &[i8; 4]) -> [i8; 4] {
        *bytes
    }
    #[inline(always)]
    fn dot(self, sums: [i32; ROWS], weights: [u8; VECTOR], quad: [i8; 4]) -> [i32; ROWS] {
        let mut out = sums;
        for (out, weights) in out.iter_mut().zip(weights.as_chunks::<4>().0) {
            for (&weight, value) in weights.iter().zip(quad) {
                *out += i32::from(weight) * i32::from(value);
            }
        }
        out
    }
    #[inline(always)]
    fn int(self, value: i32) -> [i32; ROWS] {
        [value; ROWS]
    }
    #[inline(always)]
    fn bytes_to_ints(self, bytes: &[u8; ROWS]) -> [i32; ROWS] {
        each(*bytes, i32::from)
    }
    #[inline(always)]
    fn signed_bytes_to_ints(self, bytes: &[u8; ROWS]) -> [i32; ROWS] {
        each(*bytes, |byte| i32::from(byte.cast_signed()))
    }
    #[inline(always)]
    fn int_field(self, value: [i32; ROWS], shift: u32, mask: i32) -> [i32; ROWS] {
        each(value, |int| int >> shift & mask)
    }
    #[inline(always)]
    fn int_join(self, low: [i32; ROWS], high: [i32; ROWS]) -> [i32; ROWS] {
        let mut out = low;
        for (out, high) in out.iter_mut().zip(high) {
            *out |= high << 4;
        }
        out
    }
    #[inline(always)]
    fn to_floats(self, value: [i32; ROWS]) -> [f32; ROWS] {
        each(value, |int| int as f32)
    }
    #[inline(always)]
    fn float(self, value: f32) -> [f32; ROWS] {
        [value; ROWS]
    }
    #[inline(always)]
    fn floats(self, values: &[f32; ROWS]) -> [f32; ROWS] {
        *values
    }
    #[inline(always)]
    fn halves(self, bytes: &[u8; 2 * ROWS]) -> [f32; ROWS] {
        each(half_bits(bytes), |bits| f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    fn brain_halves(self, bytes: &[u8; 2 * ROWS]) -> [f32; ROWS] {
        each(half_bits(bytes), |bits| bf16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    fn put(self, value: [f32; ROWS], out: &mut [f32; ROWS]) {
        *out = value;
    }
    #[inline(always)]
    fn mul(self, a: [f32; ROWS], b: [f32; ROWS]) -> [f32; ROWS] {
        let mut out = a;
        for (out, b) in out.iter_mut().zip(b) {
            *out *= b;
        }
        out
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; ROWS], b: [f32; ROWS], c: [f32; ROWS]) -> [f32; ROWS] {
        let mut out = c;
        for (out, (a, b)) in out.iter_mut().zip(a.into_iter().zip(b)) {
            *out += a * b;
        }
        out
    }
    #[inline(always)]
    fn prefetch(self, _: *const u8) {}
}
