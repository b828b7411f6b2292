//! `QLinearWhere`: elements of one quantised tensor where a condition holds, of another where it does not,
//! quantised anew.

use remuda_ir::{
    Attrs, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits,
    Types, Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::compose::step;
use crate::support::elementwise::broadcast_dims;
use crate::support::quantize::{dequantized, requantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "com.microsoft",
    name: "QLinearWhere",
    since: 1,
    upgrades: &[],
    inputs: &[
        InputDef::new("condition", Types::BOOL).tied(""),
        InputDef::new("x", Types::BYTES),
        InputDef::new("x_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("x_zero_point", Types::BYTES),
        InputDef::new("y", Types::BYTES),
        InputDef::new("y_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("y_zero_point", Types::BYTES),
        InputDef::new("z_scale", Types::one(DType::F32)).tied(""),
        InputDef::new("z_zero_point", Types::BYTES),
    ],
    outputs: &[OutputDef::new("z")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_where.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = broadcast_dims(ctx, [0, 1, 4].into_iter())?;
    Ok(vec![Inferred::maybe(ctx.dtype(1)?, dims)])
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let real = |at: usize| -> Result<Option<Val>, OpError> {
        Ok(Some(dequantized(ctx, [at, at + 1, at + 2])?.to_floats(DType::F64)?.into()))
    };
    let inputs = vec![ctx.opt_val(0).cloned(), real(1)?, real(4)?];
    let chosen = step("Where", Attrs::default(), inputs)?;
    requantized(ctx, Array::of(chosen.tensor()?)?, [7, 8], ctx.tensor(1)?.dtype())
}
