//! Functions of one f32 operand.

use remuda_simd::{Kernel, Simd, math};

use crate::context::Picoseconds;

/// A function that is applied to every element.
#[derive(Debug, Clone, Copy)]
pub enum Unary {
    /// `x`.
    Identity,
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// -1, 0 or 1, or NaN.
    Sign,
    /// Down to an integer.
    Floor,
    /// Up to an integer.
    Ceil,
    /// To the nearest integer, halves to even.
    Round,
    /// `x * x`.
    Square,
    /// `x * scale + offset`.
    Affine(f32, f32),
    /// The square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    ReciprocalSqrt,
    /// `1 / x`.
    Reciprocal,
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The error function.
    Erf,
    /// The greater of `x` and zero.
    Relu,
    /// `x / 2 (1 + erf(x / sqrt 2))`.
    Gelu,
    /// GELU by tanh.
    GeluTanh,
    /// `x sigmoid(alpha x)`.
    Swish(f32),
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x tanh(softplus(x))`.
    Mish,
    /// `x` times its hard sigmoid.
    HardSwish,
    /// `alpha x + beta`, cut to `0..=1`.
    HardSigmoid(f32, f32),
    /// Exponential linear unit.
    Elu(f32),
    /// Scaled exponential linear unit: alpha, gamma.
    Selu(f32, f32),
    /// Continuously differentiable exponential linear unit.
    Celu(f32),
    /// `alpha x` where negative.
    LeakyRelu(f32),
    /// `x` where above alpha, else zero.
    ThresholdedRelu(f32),
    /// `x` moved towards zero by bias where `|x|` is above lambda, else zero: lambda, bias.
    Shrink(f32, f32),
    /// Cut to a range; NaN stays.
    Clip(f32, f32),
    /// Any other function, one element at a time.
    Each(fn(f32) -> f32),
}

impl Unary {
    /// Roughly what an element costs.
    pub(super) fn cost(self) -> Picoseconds {
        Picoseconds(match self {
            Self::Each(_) => 8_000,
            Self::Exp | Self::Log | Self::Sqrt | Self::Sigmoid | Self::Swish(_) => 400,
            Self::Sin | Self::Cos | Self::Tanh | Self::Erf | Self::Gelu | Self::GeluTanh => 600,
            Self::Softplus | Self::Mish | Self::Elu(_) | Self::Selu(..) | Self::Celu(_) => 600,
            _ => 150,
        })
    }
}

/// Applies a function to `src`, into `dst` of the same length.
pub(crate) struct Map<'a> {
    pub(crate) op: Unary,
    pub(crate) src: &'a [f32],
    pub(crate) dst: &'a mut [f32],
}

impl Kernel for Map<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        map_op(s, self.op, self.src, self.dst);
    }
}

/// Vector by vector, the tail padded.
#[inline(always)]
fn map<S: Simd>(s: S, src: &[f32], dst: &mut [f32], f: impl Fn(S::F32) -> S::F32) {
    let whole = src.len() - src.len() % S::LANES;
    let (src, src_tail) = src.split_at(whole);
    let (dst, dst_tail) = dst.split_at_mut(whole);
    for (from, to) in src.chunks_exact(S::LANES).zip(dst.chunks_exact_mut(S::LANES)) {
        s.store(f(s.load(from)), to);
    }
    if !src_tail.is_empty() {
        s.store_partial(f(s.load_partial(src_tail, 1.0)), dst_tail);
    }
}

#[inline(always)]
pub(super) fn map_op<S: Simd>(s: S, op: Unary, src: &[f32], dst: &mut [f32]) {
    macro_rules! each {
        (|$x:ident| $value:expr) => {
            map(
                s,
                src,
                dst,
                #[inline(always)]
                |$x| $value,
            )
        };
    }
    match op {
        Unary::Identity => dst.copy_from_slice(src),
        Unary::Neg => each!(|x| s.neg(x)),
        Unary::Abs => each!(|x| s.abs(x)),
        Unary::Sign => each!(|x| sign(s, x)),
        Unary::Floor => each!(|x| s.floor(x)),
        Unary::Ceil => each!(|x| s.ceil(x)),
        Unary::Round => each!(|x| s.round(x)),
        Unary::Square => each!(|x| s.mul(x, x)),
        Unary::Affine(scale, offset) => {
            each!(|x| s.add(s.mul(x, s.splat(scale)), s.splat(offset)));
        }
        Unary::Sqrt => each!(|x| s.sqrt(x)),
        Unary::ReciprocalSqrt => each!(|x| math::reciprocal_sqrt(s, x)),
        Unary::Reciprocal => each!(|x| math::reciprocal(s, x)),
        Unary::Exp => each!(|x| math::exp(s, x)),
        Unary::Log => each!(|x| math::log(s, x)),
        Unary::Sin => each!(|x| math::sin(s, x)),
        Unary::Cos => each!(|x| math::cos(s, x)),
        Unary::Tanh => each!(|x| math::tanh(s, x)),
        Unary::Erf => each!(|x| math::erf(s, x)),
        Unary::Each(f) => src.iter().zip(dst).for_each(|(&from, to)| *to = f(from)),
        _ => map_activation(s, op, src, dst),
    }
}

#[inline(always)]
fn map_activation<S: Simd>(s: S, op: Unary, src: &[f32], dst: &mut [f32]) {
    macro_rules! each {
        (|$x:ident| $value:expr) => {
            map(
                s,
                src,
                dst,
                #[inline(always)]
                |$x| $value,
            )
        };
    }
    match op {
        Unary::Sigmoid => each!(|x| math::sigmoid(s, x)),
        Unary::Relu => each!(|x| s.max(s.zero(), x)),
        Unary::Gelu => each!(|x| math::gelu(s, x)),
        Unary::GeluTanh => each!(|x| math::gelu_tanh(s, x)),
        Unary::Swish(1.0) => each!(|x| math::silu(s, x)),
        Unary::Swish(alpha) => each!(|x| s.mul(x, math::sigmoid(s, s.mul(x, s.splat(alpha))))),
        Unary::Softplus => each!(|x| math::softplus(s, x)),
        Unary::Softsign => each!(|x| math::softsign(s, x)),
        Unary::Mish => each!(|x| math::mish(s, x)),
        Unary::HardSwish => each!(|x| math::hard_swish(s, x)),
        Unary::HardSigmoid(alpha, beta) => each!(|x| math::hard_sigmoid(s, x, alpha, beta)),
        Unary::Elu(alpha) => each!(|x| math::elu(s, x, alpha)),
        Unary::Selu(alpha, gamma) => each!(|x| math::selu(s, x, alpha, gamma)),
        Unary::Celu(alpha) => each!(|x| math::celu(s, x, alpha)),
        Unary::LeakyRelu(alpha) => {
            each!(|x| s.select(s.lt(x, s.zero()), s.mul(x, s.splat(alpha)), x));
        }
        Unary::ThresholdedRelu(alpha) => {
            each!(|x| s.select(s.le(x, s.splat(alpha)), s.zero(), x));
        }
        Unary::Shrink(lambda, bias) => each!(|x| shrink(s, x, lambda, bias)),
        Unary::Clip(low, high) => {
            each!(|x| s.min(s.splat(high), s.max(s.splat(low), x)));
        }
        _ => {}
    }
}

#[inline(always)]
fn sign<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.with_sign_of(s.splat(1.0), x);
    s.select(s.or_mask(s.lt(x, s.zero()), s.gt(x, s.zero())), one, x)
}

#[inline(always)]
fn shrink<S: Simd>(s: S, x: S::F32, lambda: f32, bias: f32) -> S::F32 {
    let below = s.lt(x, s.splat(-lambda));
    let above = s.gt(x, s.splat(lambda));
    let shrunk = s.select(above, s.sub(x, s.splat(bias)), s.zero());
    s.select(below, s.add(x, s.splat(bias)), shrunk)
}
