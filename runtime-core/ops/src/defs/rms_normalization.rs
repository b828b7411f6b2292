//! `RMSNormalization`: divides all axes from `axis` on by their root mean square, then scales.
//! The result has the dtype of the scale.

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
    name: "RMSNormalization",
    since: 23,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::FLOATS), InputDef::new("scale", Types::FLOATS).tied("V")],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("axis", AttrKind::Int),
        AttrDef::new("epsilon", AttrKind::Float),
        AttrDef::new("stash_type", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(2.0),
    infer,
    reference,
    cases: include_str!("rms_normalization.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    stash_dtype(ctx.attrs())?;
    Ok(vec![Inferred::maybe(ctx.dtype(1)?, layer_dims(ctx)?.0)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let axis = resolve_axis(ctx.attrs().int_or("axis", -1)?, x.dims.len())?;
    let mut y = normalize_from(x, axis, read_epsilon(ctx.attrs())?, false)?.values;
    scale_and_shift(&mut y, Some(ctx.tensor(1)?), None)?;
    Ok(vec![y.to_floats(ctx.tensor(1)?.dtype())?.into()])
}
