//! Size: the number of elements of a tensor.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Dim, Tensor};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "Size",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new("data", Types::ANY)],
    outputs: &[OutputDef::new("size")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("size.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let count =
        ctx.dims(0)?.map(|dims| dims.iter().fold(Dim::Known(1), |product, dim| product.mul(dim)));
    Ok(vec![Inferred::tensor(DType::I64, []).with_content(count.map(|count| vec![count]))])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Ok(vec![Tensor::scalar(ctx.tensor(0)?.len() as i64).into()])
}
