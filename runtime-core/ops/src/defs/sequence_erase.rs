//! `SequenceErase`: a sequence without the item at a position, which is the last by default.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};

use crate::support::scalar_i64;
use crate::support::sequences::{item_type, position};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceErase",
    since: 11,
    upgrades: &[],
    inputs: &[
        InputDef::new("input_sequence", Types::ANY),
        InputDef::optional("position", Types::INDEX).tied(""),
    ],
    outputs: &[OutputDef::new("output_sequence")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("sequence_erase.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    item_type(ctx, 0)?;
    Ok(vec![ctx.ty(0)?.clone().into()])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let mut items = ctx.val(0)?.items()?.to_vec();
    let at = ctx.opt_tensor(1)?.map_or(Ok(-1), scalar_i64)?;
    items.remove(position(at, items.len())?);
    Ok(vec![Val::sequence(items)])
}
