//! Sine and cosine: `x = j pi/2 + r` with `|r| <= pi/4`, polynomials of `r`, and the quadrant `j`.

use super::polynomial;
use crate::{MAX_LANES, Simd};

/// pi/2 in three parts; `j` times each of the first two is exact for every `j` within [`LIMIT`].
const PI_2_HIGH: f32 = 1.570_312_5;
const PI_2_MIDDLE: f32 = 4.837_513e-4;
const PI_2_LOW: f32 = 7.549_79e-8;

/// Greater arguments need more digits of pi and are computed one by one.
const LIMIT: f32 = 4096.0;

const SINE: [f32; 4] = [-0.166_666_67, 0.008_333_329, -1.983_929_7e-4, 2.717_943_8e-6];
const COSINE: [f32; 4] = [0.041_666_668, -0.001_388_888_4, 2.479_948_1e-5, -2.720_694_3e-7];

/// `sin x`, within 1.2e-7.
#[inline(always)]
pub fn sin<S: Simd>(s: S, x: S::F32) -> S::F32 {
    if exceeds_limit(s, x) { one_by_one(s, x, f64::sin) } else { rotated::<S, 0>(s, x) }
}

/// `cos x`, within 1.2e-7.
#[inline(always)]
pub fn cos<S: Simd>(s: S, x: S::F32) -> S::F32 {
    if exceeds_limit(s, x) { one_by_one(s, x, f64::cos) } else { rotated::<S, 1>(s, x) }
}

#[inline(always)]
fn exceeds_limit<S: Simd>(s: S, x: S::F32) -> bool {
    s.any(s.not_mask(s.le(s.abs(x), s.splat(LIMIT))))
}

/// `sin(x + QUARTERS pi/2)` for `|x| <= LIMIT`.
#[inline(always)]
fn rotated<S: Simd, const QUARTERS: i32>(s: S, x: S::F32) -> S::F32 {
    let j = s.round(s.mul(x, s.splat(std::f32::consts::FRAC_2_PI)));
    let r = s.neg_mul_add(j, s.splat(PI_2_HIGH), x);
    let r = s.neg_mul_add(j, s.splat(PI_2_MIDDLE), r);
    let r = s.neg_mul_add(j, s.splat(PI_2_LOW), r);
    let square = s.mul(r, r);
    let sine = s.mul_add(s.mul(r, square), polynomial(s, square, SINE), r);
    let below = s.neg_mul_add(square, s.splat(0.5), s.splat(1.0));
    let cosine = s.mul_add(s.mul(square, square), polynomial(s, square, COSINE), below);
    let quadrant = s.add_i32(s.to_i32(j), s.splat_i32(QUARTERS));
    let odd = s.eq_i32(s.and_i32(quadrant, s.splat_i32(1)), s.splat_i32(1));
    let value = s.select(odd, cosine, sine);
    let sign = s.shl::<30>(s.and_i32(quadrant, s.splat_i32(2)));
    let turned = s.of_bits(s.xor_i32(s.bits(value), sign));
    if QUARTERS == 0 { s.select(s.eq(x, s.zero()), x, turned) } else { turned }
}

#[inline(always)]
fn one_by_one<S: Simd>(s: S, x: S::F32, function: fn(f64) -> f64) -> S::F32 {
    let mut lanes = [0.0; MAX_LANES];
    s.store(x, &mut lanes);
    for lane in &mut lanes[..S::LANES] {
        *lane = function(f64::from(*lane)) as f32;
    }
    s.load(&lanes)
}
