//! `SequenceInsert`: a sequence with one more item at a position, which is behind the last by default.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val, ValueType,
};

use crate::support::scalar_i64;
use crate::support::sequences::{item_type, position};
use crate::support::types::either;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceInsert",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_sequence", Types::ANY),
        InputDef::new("tensor", Types::ANY),
        InputDef::optional("position", Types::INDEX).tied(""),
    ],
    outputs: &[OutputDef::new("output_sequence")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("sequence_insert.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let item = either(item_type(ctx, 0)?, ctx.ty(1)?)?;
    Ok(vec![ValueType::Sequence(item.into()).into()])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut items = ctx.val(0)?.items()?.to_vec();
    let at = match ctx.opt_tensor(2)?.map(scalar_i64).transpose()? {
        Some(at) if at != items.len() as i64 => position(at, items.len())?,
        _ => items.len(),
    };
    items.insert(at, ctx.val(1)?.clone());
    Ok(vec![Val::sequence(items)])
}
