//! `DynamicQuantizeMatMul`: quantises data by its own range, multiplies with quantised weights, and gives real
//! numbers.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::matmul::{matmul, matmul_dims};
use crate::support::quantize::{dynamic_range, quantized, scaled_matrix};
use crate::support::skip_norm::add_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "DynamicQuantizeMatMul",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::one(DType::F32)),
        InputDef::new("b", Types::BYTES).tied("T2"),
        InputDef::new("b_scale", Types::one(DType::F32)),
        InputDef::optional("b_zero_point", Types::BYTES).tied("T2"),
        InputDef::optional("bias", Types::one(DType::F32)),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(4.0),
    infer,
    reference,
    cases: include_str!("dynamic_quantize_mat_mul.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some(a), Some(b)) => Some(matmul_dims(a, b)?),
        _ => None,
    };
    Ok(vec![Inferred::maybe(DType::F32, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let a = Array::of(ctx.tensor(0)?)?;
    let (scale, zero) = dynamic_range(&a.values);
    let (scale, zero) = (f64::from(scale), f64::from(zero));
    let mut a = Array::of(&quantized(DType::U8, a, scale, zero)?)?;
    a.values.iter_mut().for_each(|value| *value = (*value - zero) * scale);
    let b = ctx.tensor(1)?;
    let mut y = matmul(&a, &scaled_matrix(b, ctx.tensor(2)?, ctx.opt_tensor(3)?, true)?)?;
    add_input(&mut y, ctx.opt_tensor(4)?, "bias")?;
    Ok(vec![y.to_floats(DType::F32)?.into()])
}
