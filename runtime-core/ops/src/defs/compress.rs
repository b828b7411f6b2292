//! Compress: the slices along an axis (or the elements) where the condition holds.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::Dim;

use crate::support::axes::{resolve_axis, select};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Compress",
    since: 9,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY), InputDef::new("condition", Types::BOOL).tied("")],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("axis", AttrKind::Int)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("compress.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(axis) = ctx.attrs().int("axis")? else {
        return Ok(vec![Inferred::tensor(dtype, [Dim::Unknown])]);
    };
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let axis = resolve_axis(axis, dims.len())?;
    let mut out = dims.to_vec();
    out[axis] = Dim::Unknown;
    Ok(vec![Inferred::tensor(dtype, out)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (x, condition) = (ctx.tensor(0)?, ctx.tensor(1)?.to_vec::<bool>()?);
    let (x, axis) = match ctx.attrs().int("axis")? {
        Some(axis) => (x.clone(), resolve_axis(axis, x.rank())?),
        None => (x.reshape([x.len()])?, 0),
    };
    let places: Vec<usize> = (0..condition.len()).filter(|&at| condition[at]).collect();
    if let Some(&last) = places.last().filter(|&&last| last >= x.dims()[axis]) {
        return Err(OpError::Invalid(format!(
            "`condition` holds at {last}, axis {axis} has {} places",
            x.dims()[axis]
        )));
    }
    Ok(vec![select(&x, axis, &places)?.into()])
}
