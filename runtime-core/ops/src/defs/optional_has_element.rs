//! `OptionalHasElement`: whether an optional holds something; a plain value counts as
//! something, no input as nothing.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Tensor};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "OptionalHasElement",
    since: 15,
    upgrades: &[],
    inputs: &[InputDef::optional("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("optional_has_element.cases"),
};

fn infer(_: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(DType::Bool, [])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let holds = !matches!(ctx.opt_val(0), None | Some(Val::Optional(None)));
    Ok(vec![Tensor::scalar(holds).into()])
}
