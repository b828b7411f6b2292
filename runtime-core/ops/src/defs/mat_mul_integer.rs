//! `MatMulInteger`: the product of matrices of 8-bit integers less their zero points, as `i32`.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::DType;

use crate::support::matmul::{matmul, matmul_dims};
use crate::support::quantize::{centered, to_i32};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MatMulInteger",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::BYTES).tied("T1"),
        InputDef::new("b", Types::BYTES).tied("T2"),
        InputDef::optional("a_zero_point", Types::BYTES).tied("T1"),
        InputDef::optional("b_zero_point", Types::BYTES).tied("T2"),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("mat_mul_integer.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match (ctx.dims(0)?, ctx.dims(1)?) {
        (Some(a), Some(b)) => Some(matmul_dims(a, b)?),
        _ => None,
    };
    Ok(vec![Inferred::maybe(DType::I32, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let a = centered(ctx.tensor(0)?, ctx.opt_tensor(2)?, false)?;
    let b = centered(ctx.tensor(1)?, ctx.opt_tensor(3)?, true)?;
    Ok(vec![to_i32(&matmul(&a, &b)?)?.into()])
}
