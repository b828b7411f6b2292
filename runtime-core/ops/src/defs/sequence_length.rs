//! `SequenceLength`: the number of items of a sequence.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::sequences::item_type;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceLength",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("input_sequence", Types::ANY)],
    outputs: &[OutputDef::new("length")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("sequence_length.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    item_type(ctx, 0)?;
    Ok(vec![Inferred::tensor(DType::I64, [])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![Tensor::scalar(ctx.val(0)?.items()?.len() as i64).into()])
}
