//! Mathematical functions of f32 vectors.
//!
//! Each function states its greatest error over all of f32, in units in the last place (ulp) of the
//! exact result unless it says otherwise; the tests measure it on every instruction set. NaN gives
//! NaN, and infinities and signed zeros give what IEEE 754 and C say.

mod activation;
mod erf;
mod exp;
mod log;
#[cfg(test)]
mod tests;
mod trigonometry;

pub use activation::{celu, elu, gelu_tanh, hard_sigmoid, hard_swish, mish, selu, sigmoid, silu};
pub use activation::{softplus, softsign, tanh};
pub use erf::{erf, gelu};
pub use exp::{exp, exp_m1, exp_non_positive};
pub use log::log;
pub use trigonometry::{cos, sin};

use crate::Simd;

/// The polynomial with these coefficients, lowest power first, by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, coefficients: [f32; N]) -> S::F32 {
    let mut value = s.splat(coefficients[N - 1]);
    let mut power = N - 1;
    while power > 0 {
        power -= 1;
        value = s.mul_add(value, x, s.splat(coefficients[power]));
    }
    value
}

/// `1 / sqrt(x)`, within 1.5 ulp.
#[inline(always)]
pub fn reciprocal_sqrt<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.div(s.splat(1.0), s.sqrt(x))
}

/// `1 / x`, correctly rounded.
#[inline(always)]
pub fn reciprocal<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.div(s.splat(1.0), x)
}
