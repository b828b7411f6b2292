//! `QLinearAdd`: the sum of quantised tensors with broadcasting, quantised again.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::elementwise::{broadcast_dims, common_dims};
use crate::support::quantize::{dequantized, requantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearAdd",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::one(DType::I8).or(Types::one(DType::U8))),
        InputDef::new("a_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("a_zero_point", Types::one(DType::I8).or(Types::one(DType::U8))),
        InputDef::new("b", Types::one(DType::I8).or(Types::one(DType::U8))),
        InputDef::new("b_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("b_zero_point", Types::one(DType::I8).or(Types::one(DType::U8))),
        InputDef::new("c_scale", Types::one(DType::F32)).tied(""),
        InputDef::optional("c_zero_point", Types::one(DType::I8).or(Types::one(DType::U8))),
    ],
    outputs: &[OutputDef::new("c")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_add.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, broadcast_dims(ctx, [0, 3].into_iter())?)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (a, b) = (dequantized(ctx, [0, 1, 2])?, dequantized(ctx, [3, 4, 5])?);
    let dims = common_dims(&a.dims, &b.dims)?;
    let (a, b) = (a.broadcast_to(&dims)?, b.broadcast_to(&dims)?);
    let values = a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect();
    requantized(ctx, Array { dims, values }, [6, 7], ctx.tensor(0)?.dtype())
}
