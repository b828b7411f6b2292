//! `LayerNormalization`: normalises all axes from `axis` on to mean 0 and variance 1, then scales and
//! shifts. Computed in a wider type than `stash_type` asks for; the statistics come out in that type.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::array::Array;
use crate::support::axes::resolve_axis;
use crate::support::layer_norm::{layer_dims, normalize_from, scale_and_shift};
use crate::support::normalize::{read_epsilon, stash_dtype};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "LayerNormalization",
    since: 17,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("scale", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
    ],
    outputs: &[
        OutputDef::new("y"),
        OutputDef::optional("mean"),
        OutputDef::optional("inv_std_dev"),
    ],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("stash_type", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("layer_normalization.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (dims, statistics) = layer_dims(ctx)?;
    let stash = stash_dtype(ctx.attrs())?;
    let statistics = Inferred::maybe(stash, statistics);
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims), statistics.clone(), statistics])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, x.dims.len())?;
    let stash = stash_dtype(ctx.attrs())?;
    let mut normalized = normalize_from(x, axis, read_epsilon(ctx.attrs())?, true)?;
    scale_and_shift(&mut normalized.values, Some(ctx.tensor(1)?), ctx.opt_tensor(2)?)?;
    Ok(vec![
        normalized.values.to_floats(ctx.tensor(0)?.dtype())?.into(),
        normalized.mean.to_floats(stash)?.into(),
        normalized.inverse.to_floats(stash)?.into(),
    ])
}
