//! The activations that recurrent layers may name.

use remuda_simd::{Simd, math};

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x` where not negative, else `alpha x`.
    LeakyRelu(f32),
    /// `x` where greater than `alpha`, else 0.
    ThresholdedRelu(f32),
    /// `x` where not negative, else `alpha (e^x - 1)`.
    Elu(f32),
    /// `alpha x + beta`.
    Affine(f32, f32),
    /// `alpha tanh(beta x)`.
    ScaledTanh(f32, f32),
    /// `alpha x + beta`, cut to `0..=1`.
    HardSigmoid(f32, f32),
}

impl Function {
    /// The function of every lane.
    #[inline(always)]
    pub(super) fn of<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        match self {
            Self::Relu => s.max(x, s.zero()),
            Self::Tanh => math::tanh(s, x),
            Self::Sigmoid => math::sigmoid(s, x),
            Self::Softsign => math::softsign(s, x),
            Self::Softplus => math::softplus(s, x),
            Self::LeakyRelu(alpha) => s.select(s.lt(x, s.zero()), s.mul(x, s.splat(alpha)), x),
            Self::ThresholdedRelu(alpha) => s.select(s.gt(x, s.splat(alpha)), x, s.zero()),
            Self::Elu(alpha) => math::elu(s, x, alpha),
            Self::Affine(alpha, beta) => s.mul_add(x, s.splat(alpha), s.splat(beta)),
            Self::ScaledTanh(alpha, beta) => {
                s.mul(s.splat(alpha), math::tanh(s, s.mul(x, s.splat(beta))))
            }
            Self::HardSigmoid(alpha, beta) => math::hard_sigmoid(s, x, alpha, beta),
        }
    }
}
