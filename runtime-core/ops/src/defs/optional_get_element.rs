//! `OptionalGetElement`: what an optional holds; a plain value is itself.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val, ValueType,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "OptionalGetElement",
    since: 15,
    upgrades: &[],
    inputs: &[InputDef::new("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("optional_get_element.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![match ctx.ty(0)? {
        ValueType::Optional(inner) => (**inner).clone().into(),
        other => other.clone().into(),
    }])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    match ctx.val(0)? {
        Val::Optional(None) => Err(OpError::invalid("the optional holds nothing")),
        Val::Optional(Some(inner)) => Ok(vec![(**inner).clone()]),
        other => Ok(vec![other.clone()]),
    }
}
