//! `UnfoldTensor`: the windows of a size along an axis, a step apart, in a new last axis.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{Dim, Tensor};

use crate::support::axes::resolve_axis;
use crate::support::compose::step;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "UnfoldTensor",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[
        AttrDef::new("dim", AttrKind::Int),
        AttrDef::required("size", AttrKind::Int),
        AttrDef::new("step", AttrKind::Int),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("unfold_tensor.cases"),
};

struct Windows {
    axis: usize,
    size: i64,
    step: i64,
}

fn windows(attrs: &Attrs, rank: usize) -> Result<Windows, OpError> {
    let (size, step) = (attrs.required_int("size")?, attrs.int_or("step", 1)?);
    if size < 1 || step < 1 {
        return Err(OpError::Invalid(format!(
            "`size` and `step` expected positive integers, got {size} and {step}"
        )));
    }
    Ok(Windows { axis: resolve_axis(attrs.int_or("dim", -1)?, rank)?, size, step })
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(ctx.dtype(0)?, None)]) };
    let Windows { axis, size, step } = windows(ctx.attrs(), dims.len())?;
    let mut dims = dims.to_vec();
    let reach = dims[axis].sub(&Dim::Known(size));
    dims[axis] = reach.floor_div(&Dim::Known(step)).add(&Dim::Known(1));
    dims.push(Dim::Known(size));
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let Windows { axis, size, step: apart } = windows(ctx.attrs(), x.rank())?;
    let length = x.dims()[axis] as i64;
    if size > length {
        return Err(OpError::Invalid(format!("windows of {size} do not fit {length} elements")));
    }
    let count = (length - size) / apart + 1;
    let places: Vec<i64> = (0..count).flat_map(|at| at * apart..at * apart + size).collect();
    let indices = Tensor::from_vec([count as usize, size as usize], places);
    let mut attrs = Attrs::default();
    attrs.set("axis", remuda_ir::Attr::Int(axis as i64));
    let gathered = step("Gather", attrs, vec![Some(x.clone().into()), Some(indices?.into())])?;
    // The windows stand at the axis and behind it; their elements belong last.
    let gathered = gathered.tensor()?.clone();
    let mut order: Vec<usize> = (0..gathered.rank()).filter(|&at| at != axis + 1).collect();
    order.push(axis + 1);
    Ok(vec![gathered.permute(&order)?.contiguous().into()])
}
