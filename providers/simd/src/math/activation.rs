//! Activation functions of neural networks.

use super::exp::{exp, exp_m1, exp_m1_in_range, exp_non_positive};
use super::log::log_1p_of_unit;
use crate::Simd;

/// Below this every sigmoid-weighted function rounds to zero.
const VANISHED: f32 = -110.0;

/// `tanh x`, within 3 ulp.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.min(s.splat(10.0), s.abs(x));
    let grown = exp_m1_in_range(s, s.add(a, a));
    s.with_sign_of(s.div(grown, s.add(grown, s.splat(2.0))), x)
}

/// `1 / (1 + e^-x)`, within 3 ulp or 1.2e-38.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let tail = exp_non_positive(s, s.neg(s.abs(x)));
    let numerator = s.select(s.lt(x, s.zero()), tail, s.splat(1.0));
    s.div(numerator, s.add(tail, s.splat(1.0)))
}

/// `x / (1 + e^-x)`, within 4 ulp or 2e-36; zero at minus infinity.
#[inline(always)]
pub fn silu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let x = s.max(s.splat(VANISHED), x);
    s.mul(x, sigmoid(s, x))
}

/// GELU by its usual approximation with tanh, within 1e-6 times the greater of 1 and `|x|`; zero at
/// minus infinity.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // 2 sqrt(2 / pi), and that times 0.044715.
    const LINEAR: f32 = 1.595_769;
    const CUBIC: f32 = 0.071_354_82;
    let x = s.max(s.splat(-20.0), x);
    let square = s.mul(x, x);
    let inner = s.mul(x, s.mul_add(square, s.splat(CUBIC), s.splat(LINEAR)));
    s.mul(x, sigmoid(s, inner))
}

/// `ln(1 + e^x)`, within 4 ulp or 1.2e-38.
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let tail = exp_non_positive(s, s.neg(s.abs(x)));
    s.add(s.max(s.zero(), x), log_1p_of_unit(s, tail))
}

/// `x tanh(ln(1 + e^x))`, within 5 ulp or 2e-36; zero at minus infinity.
#[inline(always)]
pub fn mish<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let x = s.max(s.splat(VANISHED), x);
    let power = exp(s, s.min(s.splat(20.0), x));
    let numerator = s.mul(power, s.add(power, s.splat(2.0)));
    s.mul(x, s.div(numerator, s.add(numerator, s.splat(2.0))))
}

/// `x / (1 + |x|)`.
#[inline(always)]
pub fn softsign<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.div(x, s.add(s.abs(x), s.splat(1.0)))
}

/// `x` where positive, else `alpha (e^x - 1)`.
#[inline(always)]
pub fn elu<S: Simd>(s: S, x: S::F32, alpha: f32) -> S::F32 {
    s.select(s.gt(x, s.zero()), x, s.mul(exp_m1(s, x), s.splat(alpha)))
}

/// `gamma x` where positive, else `gamma alpha (e^x - 1)`.
#[inline(always)]
pub fn selu<S: Simd>(s: S, x: S::F32, alpha: f32, gamma: f32) -> S::F32 {
    s.mul(elu(s, x, alpha), s.splat(gamma))
}

/// `x` where positive, else `alpha (e^(x / alpha) - 1)`.
#[inline(always)]
pub fn celu<S: Simd>(s: S, x: S::F32, alpha: f32) -> S::F32 {
    let scaled = exp_m1(s, s.div(x, s.splat(alpha)));
    s.select(s.gt(x, s.zero()), x, s.mul(scaled, s.splat(alpha)))
}

/// `alpha x + beta`, cut to `0..=1`.
#[inline(always)]
pub fn hard_sigmoid<S: Simd>(s: S, x: S::F32, alpha: f32, beta: f32) -> S::F32 {
    let line = s.mul_add(x, s.splat(alpha), s.splat(beta));
    s.max(s.zero(), s.min(s.splat(1.0), line))
}

/// `x` times its hard sigmoid of slope 1/6 around 1/2.
#[inline(always)]
pub fn hard_swish<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.mul(x, hard_sigmoid(s, x, 1.0 / 6.0, 0.5))
}
