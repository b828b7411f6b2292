//! `DynamicQuantizeLinear`: quantises to `u8` with the scale and zero point that its elements (and zero) need.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::{DType, Tensor};

use crate::support::array::Array;
use crate::support::quantize::{dynamic_range, quantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "DynamicQuantizeLinear",
    since: 11,
    upgrades: &[],
    inputs: &[InputDef::new("x", Types::one(DType::F32))],
    outputs: &[OutputDef::new("y"), OutputDef::new("y_scale"), OutputDef::new("y_zero_point")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("dynamic_quantize_linear.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let y = Inferred::maybe(DType::U8, ctx.dims(0)?.map(<[_]>::to_vec));
    Ok(vec![y, Inferred::tensor(DType::F32, []), Inferred::tensor(DType::U8, [])])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let x = Array::of(ctx.tensor(0)?)?;
    let (scale, zero) = dynamic_range(&x.values);
    let y = quantized(DType::U8, x, f64::from(scale), f64::from(zero))?;
    Ok(vec![y.into(), Tensor::scalar(scale).into(), Tensor::scalar(zero).into()])
}
