//! `Optional`: an optional that holds its input, or without one an empty optional of a `type`.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val, ValueType,
};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Optional",
    since: 15,
    upgrades: &[],
    inputs: &[InputDef::optional("input", Types::ANY)],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("type", AttrKind::Type)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("optional.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let missing = || OpError::invalid("without an input attribute `type` must say what is absent");
    let ty = match ctx.input(0) {
        Some(input) => input.ty,
        None => ctx.attrs().ty("type")?.ok_or_else(missing)?,
    };
    Ok(vec![ValueType::Optional(Box::new(ty.clone())).into()])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![Val::Optional(ctx.opt_val(0).cloned().map(Into::into))])
}
