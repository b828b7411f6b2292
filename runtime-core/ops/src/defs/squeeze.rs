//! Squeeze: leaves out dimensions of 1: all of them, or those that `axes` names.

use remuda_ir::{
    Draft, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits,
    Types, Upgrade, Val,
};
use remuda_tensor::Dim;

use crate::support::axes::resolve_axis;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Squeeze",
    since: 1,
    upgrades: &[Upgrade {
        below: 13,
        apply: |draft: &mut Draft<'_>| draft.ints_to_input("axes", 1),
    }],
    inputs: &[InputDef::new("data", Types::ANY), InputDef::optional("axes", Types::I64).tied("")],
    outputs: &[OutputDef::new("squeezed")],
    attrs: &[],
    traits: Traits::VIEW,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("squeeze.cases"),
};

/// The axes that stay.
fn kept(axes: Option<Vec<i64>>, dims: &[Dim]) -> Result<Vec<usize>, OpError> {
    let mut gone = vec![false; dims.len()];
    match axes {
        None => {
            for (gone, dim) in gone.iter_mut().zip(dims) {
                *gone = *dim == Dim::Known(1);
            }
        }
        Some(axes) => {
            for axis in axes {
                let axis = resolve_axis(axis, dims.len())?;
                if dims[axis].differs(&Dim::Known(1)) {
                    return Err(OpError::Invalid(format!(
                        "axis {axis} is {}, expected 1",
                        dims[axis]
                    )));
                }
                gone[axis] = true;
            }
        }
    }
    Ok((0..dims.len()).filter(|&axis| !gone[axis]).collect())
}

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = ctx.dtype(0)?;
    let Some(dims) = ctx.dims(0)? else { return Ok(vec![Inferred::maybe(dtype, None)]) };
    let axes = if ctx.has(1) { ctx.ints(1) } else { None };
    // Which axes go is not known: they are computed, or a symbol may be 1.
    let open = (ctx.has(1) && axes.is_none())
        || (!ctx.has(1) && dims.iter().any(|dim| dim.as_i64().is_none()));
    if open {
        return Ok(vec![Inferred::maybe(dtype, None)]);
    }
    let kept = kept(axes, dims)?;
    let content = ctx.content(0).filter(|content| content.len() <= 64);
    Ok(vec![
        Inferred::tensor(dtype, kept.into_iter().map(|axis| dims[axis].clone()))
            .with_content(content),
    ])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = ctx.tensor(0)?;
    let dims: Vec<Dim> = x.dims().iter().map(|&dim| dim.into()).collect();
    let kept: Vec<usize> =
        kept(ctx.opt_ints(1)?, &dims)?.into_iter().map(|axis| x.dims()[axis]).collect();
    Ok(vec![x.reshape(kept)?.into()])
}
