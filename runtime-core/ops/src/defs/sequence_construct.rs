//! `SequenceConstruct`: a sequence of its inputs.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val, ValueType,
};

use crate::support::types::either;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceConstruct",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::variadic("inputs", Types::ANY)],
    outputs: &[OutputDef::new("output_sequence")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("sequence_construct.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let mut item = ctx.ty(0)?.clone();
    for at in 1..ctx.input_count() {
        item = either(&item, ctx.ty(at)?)?;
    }
    Ok(vec![ValueType::Sequence(item.into()).into()])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let items = (0..ctx.inputs.len()).map(|at| ctx.val(at).cloned());
    Ok(vec![Val::sequence(items.collect::<Result<_, _>>()?)])
}
