//! Exponentials: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a polynomial for `e^r - 1`, then `2^n`.

use super::polynomial;
use crate::Simd;

/// ln 2 in two parts; `n` times the first is exact for every `n` that occurs.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `(e^r - 1 - r) / r^2` on `|r| <= ln 2 / 2`, least greatest error.
const TAIL: [f32; 5] = [0.5, 0.166_665_18, 0.041_666_202, 0.008_368_953, 0.001_395_065_7];

/// Where the result is infinite, and where it is zero.
const OVERFLOW: f32 = 89.0;
const UNDERFLOW: f32 = -104.0;

/// `n` and `e^r - 1` for `x` between the limits.
#[inline(always)]
fn split<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.neg_mul_add(n, s.splat(LN2_HIGH), x);
    let r = s.neg_mul_add(n, s.splat(LN2_LOW), r);
    let tail = polynomial(s, r, TAIL);
    (n, s.mul_add(s.mul(r, r), tail, r))
}

/// `e^x`, within 1.2 ulp; 2 ulp where the result is subnormal.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let x = s.min(s.splat(OVERFLOW), s.max(s.splat(UNDERFLOW), x));
    let (n, grown) = split(s, x);
    s.mul_pow2(s.add(grown, s.splat(1.0)), n)
}

/// `e^x - 1` for `x` in `-85..=89`, or NaN; a zero loses its sign.
#[inline(always)]
pub(super) fn exp_m1_in_range<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, grown) = split(s, x);
    let half = s.pow2(s.sub_i32(s.to_i32(n), s.splat_i32(1)));
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
