//! Identity: its input, whatever it is.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::contents::any_content;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Identity",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits { elementwise: true, ..Traits::VIEW },
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("identity.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::from(ctx.ty(0)?.clone()).with_content(any_content(ctx, 0))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![ctx.val(0)?.clone()])
}
