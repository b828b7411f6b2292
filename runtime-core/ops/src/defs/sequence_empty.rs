//! `SequenceEmpty`: a sequence without items, for tensors of the dtype that `dtype` names
//! (`f32` by default).

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits,
    Val, ValueType,
};
use remuda_tensor::{DType, TensorType};

use crate::support::dtypes::dtype_attr;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "SequenceEmpty",
    since: 11,
    upgrades: &[],
    inputs: &[],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("dtype", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("sequence_empty.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = dtype_attr(ctx.attrs(), "dtype")?.unwrap_or(DType::F32);
    Ok(vec![ValueType::Sequence(Box::new(TensorType::unranked(dtype).into())).into()])
}

fn reference(_: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![Val::sequence(Vec::new())])
}
