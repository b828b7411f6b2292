//! The Gaussian error linear unit, exact and approximated, with a bias.

use remuda_ir::{KernelCtx, OpError, Val};

use super::array::Array;
use super::skip_norm::add_input;

/// The element times the share of a normal distribution below it.
pub(crate) fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// The same through the hyperbolic tangent.
pub(crate) fn fast_gelu(x: f64) -> f64 {
    let slope = (2.0 / std::f64::consts::PI).sqrt();
    0.5 * x * (1.0 + (slope * (x + 0.044_715 * x.powi(3))).tanh())
}

/// A function of input 0 plus the bias of input 1, if it is there.
pub(crate) fn biased_map(ctx: &KernelCtx<'_>, f: impl Fn(f64) -> f64) -> Result<Vec<Val>, OpError> {
    let mut x = Array::of(ctx.tensor(0)?)?;
    add_input(&mut x, ctx.opt_tensor(1)?, "bias")?;
    x.values.iter_mut().for_each(|value| *value = f(*value));
    Ok(vec![x.to_floats(ctx.tensor(0)?.dtype())?.into()])
}
