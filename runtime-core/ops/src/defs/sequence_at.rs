//! `SequenceAt`: the item at a position of a sequence; a negative one counts from the end.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::scalar_i64;
use crate::support::sequences::{item_type, position};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceAt",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_sequence", Types::ANY),
        InputDef::new("position", Types::INDEX).tied(""),
    ],
    outputs: &[OutputDef::new("tensor")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("sequence_at.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![item_type(ctx, 0)?.clone().into()])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let items = ctx.val(0)?.items()?;
    let at = position(scalar_i64(ctx.tensor(1)?)?, items.len())?;
    Ok(vec![items[at].clone()])
}
