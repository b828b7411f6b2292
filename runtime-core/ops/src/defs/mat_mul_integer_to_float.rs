//! `MatMulIntegerToFloat`: the product of quantised matrices as real numbers, with a bias.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::DType;

use crate::support::matmul::{matmul, matmul_dims};
use crate::support::quantize::scaled_matrix;
use crate::support::skip_norm::add_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "MatMulIntegerToFloat",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::BYTES).tied("T1"),
        InputDef::new("b", Types::BYTES).tied("T2"),
        InputDef::new("a_scale", Types::one(DType::F32).or(Types::one(DType::F16))).tied("T3"),
        InputDef::new("b_scale", Types::one(DType::F32).or(Types::one(DType::F16))).tied("T3"),
        InputDef::optional("a_zero_point", Types::BYTES).tied("T1"),
        InputDef::optional("b_zero_point", Types::BYTES).tied("T2"),
        InputDef::optional("bias", Types::one(DType::F32).or(Types::one(DType::F16))).tied("T3"),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(2.0),
    infer,
    reference,
    cases: include_str!("mat_mul_integer_to_float.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some(a), Some(b)) => Some(matmul_dims(a, b)?),
        _ => None,
    };
    Ok(vec![Inferred::maybe(ctx.dtype(2)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let a = scaled_matrix(ctx.tensor(0)?, ctx.tensor(2)?, ctx.opt_tensor(4)?, false)?;
    let b = scaled_matrix(ctx.tensor(1)?, ctx.tensor(3)?, ctx.opt_tensor(5)?, true)?;
    let mut y = matmul(&a, &b)?;
    add_input(&mut y, ctx.opt_tensor(6)?, "bias")?;
    Ok(vec![y.to_floats(ctx.tensor(2)?.dtype())?.into()])
}
