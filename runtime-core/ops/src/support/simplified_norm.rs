//! `SimplifiedLayerNormalization`, which stands in two domains.

use remuda_ir::{InferCtx, Inferred, KernelCtx, OpError, Val};

use super::array::Array;
use super::axes::resolve_axis;
use super::layer_norm::{layer_dims, normalize_from, scale_and_shift};
use super::normalize::{read_epsilon, stash_dtype};

/// The shape rule: output and inverse root mean square.
pub(crate) fn infer_simplified(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dims, statistics) = layer_dims(ctx)?;
    let stash = stash_dtype(ctx.attrs())?;
    Ok(vec![Inferred::maybe(ctx.dtype(1)?, dims), Inferred::maybe(stash, statistics)])
}

/// Divides by the root mean square of the axes from `axis` on.
pub(crate) fn simplified(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, x.dims.len())?;
    let mut normal = normalize_from(x, axis, read_epsilon(ctx.attrs())?, false)?;
    scale_and_shift(&mut normal.values, Some(ctx.tensor(1)?), None)?;
    let y = normal.values.to_floats(ctx.tensor(1)?.dtype())?;
    Ok(vec![y.into(), normal.inverse.to_floats(stash_dtype(ctx.attrs())?)?.into()])
}
