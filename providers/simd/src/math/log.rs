//! The natural logarithm: `x = 2^e m` with `m` around 1, and a polynomial for `ln m`.

use super::polynomial;
use crate::Simd;

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `(ln(1 + f) - f + f^2 / 2) / f^3` on `sqrt(1/2) - 1 ..= sqrt(2) - 1`, least greatest error.
const TAIL: [f32; 9] = [
    0.333_333_1,
    -0.249_999_87,
    0.200_022_18,
    -0.166_692_48,
    0.142_188_08,
    -0.123_844_63,
    0.118_720_97,
    -0.117_889,
    0.069_161_47,
];

/// The bits of sqrt(1/2).
const SQRT_HALF: i32 = 0x3f35_04f3;
const TWO_POW_23: f32 = 8_388_608.0;

/// `ln x`, within 1.5 ulp.
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let subnormal = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let scaled = s.select(subnormal, s.mul(x, s.splat(TWO_POW_23)), x);
    let shift = s.select(subnormal, s.splat(-23.0), s.zero());
    let value = log_of_normal(s, scaled, shift);
    let regular = s.and_mask(s.gt(x, s.zero()), s.lt(x, s.splat(f32::INFINITY)));
    let end = s.select(s.eq(x, s.zero()), s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    let special = s.select(s.gt(x, s.zero()), x, end);
    s.select(regular, value, special)
}

/// `ln x + exponent ln 2` for positive, normal, finite `x`.
#[inline(always)]
pub(super) fn log_of_normal<S: Simd>(s: S, x: S::F32, exponent: S::F32) -> S::F32 {
    let root = s.splat_i32(SQRT_HALF);
    let offset = s.sub_i32(s.bits(x), root);
    let exponent = s.add(exponent, s.to_f32(s.shr::<23>(offset)));
    let fraction = s.and_i32(offset, s.splat_i32(0x7f_ffff));
    let f = s.sub(s.of_bits(s.add_i32(fraction, root)), s.splat(1.0));
    let square = s.mul(f, f);
    let tail = s.mul(s.mul(polynomial(s, f, TAIL), f), square);
    let low = s.mul_add(exponent, s.splat(LN2_LOW), tail);
    let low = s.neg_mul_add(square, s.splat(0.5), low);
    s.mul_add(exponent, s.splat(LN2_HIGH), s.add(f, low))
}

/// `ln(1 + x)` for `x` in `0..=1`, or NaN.
#[inline(always)]
pub(super) fn log_1p_of_unit<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    let sum = s.add(x, one);
    let lost = s.sub(x, s.sub(sum, one));
    let correction = s.div(lost, sum);
    let value = s.add(log_of_normal(s, sum, s.zero()), correction);
    s.select(s.is_nan(x), x, value)
}
