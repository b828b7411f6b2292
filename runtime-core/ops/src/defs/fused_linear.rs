//! `FusedLinear`: a product with a matrix, a bias and a residual added to it, and an activation, in
//! one.

use remuda_ir::{
    AttrDef, AttrKind, Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::compose::{activate, add, step};
use crate::support::matmul::matmul_dims;

pub(crate) static OP: OpDef = OpDef {
    domain: "remuda",
    name: "FusedLinear",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("x", Types::FLOATS),
        InputDef::new("w", Types::FLOATS),
        InputDef::optional("b", Types::FLOATS),
        InputDef::optional("residual", Types::FLOATS),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[
        AttrDef::new("activation", AttrKind::Text),
        AttrDef::new("activation_params", AttrKind::Floats),
    ],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("fused_linear.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some(a), Some(b)) => Some(matmul_dims(a, b)?),
        _ => None,
    };
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let inputs = ctx.inputs.iter().take(2).cloned().collect();
    let y = step("MatMul", Attrs::default(), inputs)?;
    let y = add(add(y, ctx.opt_val(2))?, ctx.opt_val(3))?;
    Ok(vec![activate(y, ctx.attrs())?])
}
