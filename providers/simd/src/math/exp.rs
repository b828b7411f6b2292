//! Exponentials: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a polynomial for `e^r`, then `2^n`.

use super::polynomial;
use crate::Simd;

/// ln 2 in two parts; `n` times the first is exact for every `n` that occurs.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `(e^r - 1 - r) / r^2` on `|r| <= ln 2 / 2`, least greatest error.
const TAIL: [f32; 5] = [0.5, 0.166_665_18, 0.041_666_202, 0.008_368_953, 0.001_395_065_7];
/// `e^r` with the same tail.
const WHOLE: [f32; 7] = [1.0, 1.0, TAIL[0], TAIL[1], TAIL[2], TAIL[3], TAIL[4]];

/// Where the result is infinite, and where it is zero.
const OVERFLOW: f32 = 89.0;
const UNDERFLOW: f32 = -104.0;

/// A float so great that its neighbours are one apart: adding it rounds to an integer, which is then
/// found in the low bits.
const SHIFT: f32 = 12_582_912.0;

/// An argument taken apart.
struct Split<S: Simd> {
    /// `n`.
    n: S::F32,
    /// `n` plus a bias in the low bits, where an exponent is made of it.
    shifted: S::F32,
    /// `r`.
    r: S::F32,
}

/// Takes `x` apart; the exponent of a power of two has a bias of `bias`.
#[inline(always)]
fn split<S: Simd>(s: S, x: S::F32, bias: f32) -> Split<S> {
    let shift = s.splat(SHIFT + bias);
    let shifted = s.mul_add(x, s.splat(std::f32::consts::LOG2_E), shift);
    let n = s.sub(shifted, shift);
    let r = s.neg_mul_add(n, s.splat(LN2_HIGH), x);
    let r = s.neg_mul_add(n, s.splat(LN2_LOW), r);
    Split { n, shifted, r }
}

/// `2^(n + bias - 127)` for the bias that the argument was taken apart with.
#[inline(always)]
fn power_of_two<S: Simd>(s: S, split: &Split<S>) -> S::F32 {
    s.of_bits(s.shl::<23>(s.bits(split.shifted)))
}

/// `e^x`, within 1.2 ulp; 2 ulp where the result is subnormal.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let x = s.min(s.splat(OVERFLOW), s.max(s.splat(UNDERFLOW), x));
    let split = split(s, x, 0.0);
    s.mul_pow2(polynomial(s, split.r, WHOLE), split.n)
}

/// `e^x` for `x` that is not positive, within 1.2 ulp; zero where the result would be subnormal.
#[inline(always)]
pub fn exp_non_positive<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let split = split(s, x, 127.0);
    let value = s.mul(polynomial(s, split.r, WHOLE), power_of_two(s, &split));
    s.select(s.not_lt(split.n, s.splat(-126.0)), value, s.zero())
}

/// `e^x - 1` for `x` in `-85..=89`, or NaN; a zero loses its sign.
#[inline(always)]
pub(super) fn exp_m1_in_range<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let split = split(s, x, 126.0);
    let r = split.r;
    let grown = s.mul_add(s.mul(r, r), polynomial(s, r, TAIL), r);
    let half = power_of_two(s, &split);
    let halved = s.mul_add(half, grown, s.sub(half, s.splat(0.5)));
    s.add(halved, halved)
}

/// `e^x - 1`, within 2.5 ulp.
#[inline(always)]
pub fn exp_m1<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let clamped = s.min(s.splat(OVERFLOW), s.max(s.splat(-20.0), x));
    let value = exp_m1_in_range(s, clamped);
    s.select(s.eq(x, s.zero()), x, value)
}
