//! Two quantised tensors combined element by element, quantised again.

use remuda_ir::{InferCtx, Inferred, InputDef, KernelCtx, OpError, Types, Val};
use remuda_tensor::DType;

use super::array::Array;
use super::elementwise::{broadcast_dims, common_dims};
use super::quantize::{dequantized, requantized};

/// Both sides and the result, each with its scale and zero point.
pub(crate) const BINARY_INPUTS: &[InputDef] = &[
    InputDef::new("a", Types::BYTES),
    InputDef::new("a_scale", Types::one(DType::F32)).tied(""),
    InputDef::optional("a_zero_point", Types::BYTES),
    InputDef::new("b", Types::BYTES),
    InputDef::new("b_scale", Types::one(DType::F32)).tied(""),
    InputDef::optional("b_zero_point", Types::BYTES),
    InputDef::new("c_scale", Types::one(DType::F32)).tied(""),
    InputDef::optional("c_zero_point", Types::BYTES),
];

/// The shape rule: the sides broadcast.
pub(crate) fn infer_binary(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::maybe(ctx.dtype(0)?, broadcast_dims(ctx, [0, 3].into_iter())?)])
}

/// Combines the real numbers of both sides.
pub(crate) fn binary(
    ctx: &KernelCtx<'_>,
    f: impl Fn(f64, f64) -> f64,
) -> Result<Vec<Val>, OpError> {
    let (a, b) = (dequantized(ctx, [0, 1, 2])?, dequantized(ctx, [3, 4, 5])?);
    let dims = common_dims(&a.dims, &b.dims)?;
    let (a, b) = (a.broadcast_to(&dims)?, b.broadcast_to(&dims)?);
    let values = a.values.iter().zip(&b.values).map(|(&a, &b)| f(a, b)).collect();
    requantized(ctx, Array { dims, values }, [6, 7], ctx.tensor(0)?.dtype())
}
