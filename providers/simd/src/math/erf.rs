//! The error function as `1 - e^(-a q(a))`, and the exact GELU.

use super::exp::exp_m1_in_range;
use super::{exp_non_positive, polynomial};
use crate::Simd;

/// `-ln(erfc a) / a` on `0..=4`, least greatest error of the resulting erf.
const EXPONENT: [f32; 11] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    std::f32::consts::FRAC_2_PI,
    0.102_771_6,
    -0.019_120_014,
    -2.450_395_4e-4,
    0.001_783_926_7,
    -7.231_727_4e-4,
    1.555_308_8e-4,
    -1.656_150_5e-5,
    1.564_953_3e-7,
    9.297_04e-8,
];

/// Beyond this erf rounds to one.
const SATURATED: f32 = 4.0;

/// `ln(erfc a)` for `a` in `0..=4`, or NaN.
#[inline(always)]
fn log_erfc<S: Simd>(s: S, a: S::F32) -> S::F32 {
    s.neg(s.mul(a, polynomial(s, a, EXPONENT)))
}

/// The error function, within 4 ulp.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.min(s.splat(SATURATED), s.abs(x));
    let below_one = exp_m1_in_range(s, log_erfc(s, a));
    s.with_sign_of(s.abs(below_one), x)
}

/// `x / 2 (1 + erf(x / sqrt 2))`, within 1e-7 times the greater of 1 and `|x|`.
#[inline(always)]
pub fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let magnitude = s.abs(x);
    let a = s.mul(magnitude, s.splat(std::f32::consts::FRAC_1_SQRT_2));
    let tail = exp_non_positive(s, log_erfc(s, s.min(s.splat(SATURATED), a)));
    let missing = s.mul(s.mul(magnitude, s.splat(0.5)), tail);
    let missing = s.select(s.gt(a, s.splat(SATURATED)), s.zero(), missing);
    s.sub(s.max(s.zero(), x), missing)
}
