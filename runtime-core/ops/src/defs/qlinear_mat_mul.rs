//! `QLinearMatMul`: the product of quantised matrices, quantised again. Parameters of the first side may be
//! one for each row, those of the second one for each column.

use remuda_ir::{
    InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types,
    Val,
};
use remuda_tensor::DType;

use crate::support::array::Array;
use crate::support::matmul::{matmul, matmul_dims};
use crate::support::quantize::{centered, matrix_parameter, requantized};

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "QLinearMatMul",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("a", Types::BYTES.or(Types::FLOAT8)).tied("T1"),
        InputDef::new("a_scale", Types::SHORT_FLOATS).tied("TS"),
        InputDef::new("a_zero_point", Types::BYTES.or(Types::FLOAT8)).tied("T1"),
        InputDef::new("b", Types::BYTES.or(Types::FLOAT8)).tied("T2"),
        InputDef::new("b_scale", Types::SHORT_FLOATS).tied("TS"),
        InputDef::new("b_zero_point", Types::BYTES.or(Types::FLOAT8)).tied("T2"),
        InputDef::new("y_scale", Types::SHORT_FLOATS).tied("TS"),
        InputDef::new("y_zero_point", Types::BYTES.or(Types::FLOAT8)).tied(""),
    ],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::OneStep(1.0),
    infer,
    reference,
    cases: include_str!("qlinear_mat_mul.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dims = match (ctx.dims(0)?, ctx.dims(3)?) {
        (Some(a), Some(b)) => Some(matmul_dims(a, b)?),
        _ => None,
    };
    Ok(vec![Inferred::maybe(ctx.dtype(7)?, dims)])
}

/// One side as real numbers.
fn side(ctx: &KernelCtx<'_>, first: usize, by_column: bool) -> Result<Array, OpError> {
    let mut array = centered(ctx.tensor(first)?, ctx.opt_tensor(first + 2)?, by_column)?;
    let scales = matrix_parameter(ctx.tensor(first + 1)?, "scale", &array.dims, by_column)?;
    array.values.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
    Ok(array)
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let y = matmul(&side(ctx, 0, false)?, &side(ctx, 3, true)?)?;
    requantized(ctx, y, [6, 7], DType::U8)
}
