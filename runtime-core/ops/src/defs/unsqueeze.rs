//! Unsqueeze: puts dimensions of 1 at the places that `axes` names in the result.

use remuda_ir::{
    Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits,
    Types, Upgrade, Val,
};
use remuda_tensor::Dim;

use crate::support::axes::resolve_axis;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Unsqueeze",
    since: 1,
    upgrades: &[Upgrade {
        below: 13,
        apply: |draft: &mut Draft<'_>| draft.ints_to_input("axes", 1),
    }],
    inputs: &[InputDef::new("data", Types::ANY), InputDef::new("axes", Types::I64).tied("")],
    outputs: &[OutputDef::new("expanded")],
    attrs: &[],
    traits: Traits::VIEW,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("unsqueeze.cases"),
};

/// The dimensions of the result.
fn widened(axes: &[i64], dims: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let rank = dims.len() + axes.len();
    let mut fresh = vec![false; rank];
    for &axis in axes {
        let axis = resolve_axis(axis, rank)?;
        if std::mem::replace(&mut fresh[axis], true) {
            return Err(OpError::Invalid(format!("`axes` names axis {axis} twice")));
        }
    }
    let mut old = dims.iter();
    let pick = |fresh: bool| {
        if fresh { Dim::Known(1) } else { old.next().cloned().unwrap_or(Dim::Known(1)) }
    };
    Ok(fresh.into_iter().map(pick).collect())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let (Some(dims), Some(axes)) = (ctx.dims(0)?, ctx.ints(1)) else {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    };
    let content = ctx.content(0).filter(|content| content.len() <= 64);
    Ok(vec![Inferred::tensor(dtype, widened(&axes, dims)?).with_content(content)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let dims: Vec<Dim> = x.dims().iter().map(|&dim| dim.into()).collect();
    let dims = widened(&ctx.ints(1)?, &dims)?;
    let dims: Vec<usize> = dims.iter().filter_map(Dim::as_usize).collect();
    Ok(vec![x.reshape(dims)?.into()])
}
