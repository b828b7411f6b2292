//! If: runs one of two bodies.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};

use crate::support::types::either;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "If",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("cond", Types::BOOL)],
    outputs: &[OutputDef::variadic("outputs")],
    attrs: &[
        AttrDef::required("else_branch", AttrKind::Graph),
        AttrDef::required("then_branch", AttrKind::Graph),
    ],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("if.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let (then, other) = (ctx.body("then_branch", &[])?, ctx.body("else_branch", &[])?);
    if then.len() != other.len() {
        let text =
            format!("`then_branch` has {} outputs, `else_branch` {}", then.len(), other.len());
        return Err(OpError::Invalid(text));
    }
    then.iter().zip(&other).map(|(a, b)| either(a, b).map(Inferred::from)).collect()
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let cond = ctx.tensor(0)?;
    let [cond] = cond.to_vec::<bool>()?[..] else {
        return Err(OpError::Invalid(format!(
            "`cond` expected one element, got dimensions {:?}",
            cond.dims()
        )));
    };
    ctx.run_body(if cond { "then_branch" } else { "else_branch" }, Vec::new())
}
