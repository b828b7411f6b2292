//! General matrix products `alpha * a * b + beta * c` of two-dimensional sides that may be transposed.

use remuda_ir::{InferCtx, Inferred, KernelCtx, OpError};
use remuda_tensor::Dim;
use remuda_tensor::dim::DisplayDims;

use super::array::Array;
use super::matmul::{matmul, matmul_dims, transposed};

/// A matrix input, its axes exchanged if the attribute says so.
fn side(ctx: &KernelCtx<'_>, at: usize, attr: &str) -> Result<Array, OpError> {
    let array = Array::of(ctx.tensor(at)?)?;
    array.with_rank::<2>(if at == 0 { "a" } else { "b" })?;
    if ctx.attrs().bool_or(attr, false)? { transposed(&array) } else { Ok(array) }
}

/// The product and sum, unrounded.
pub(crate) fn gemm(ctx: &KernelCtx<'_>) -> Result<Array, OpError> {
    let alpha = f64::from(ctx.attrs().float_or("alpha", 1.0)?);
    let beta = f64::from(ctx.attrs().float_or("beta", 1.0)?);
    let mut out = matmul(&side(ctx, 0, "transA")?, &side(ctx, 1, "transB")?)?;
    out.values.iter_mut().for_each(|value| *value *= alpha);
    if let Some(c) = Array::of_optional(ctx.opt_tensor(2)?)? {
        let c = c.broadcast_to(&out.dims)?;
        out.values.iter_mut().zip(c.values).for_each(|(value, c)| *value += beta * c);
    }
    Ok(out)
}

/// The dimensions of a matrix input, its axes exchanged if the attribute says so.
fn side_dims(ctx: &InferCtx<'_>, at: usize, attr: &str) -> Result<Option<Vec<Dim>>, OpError> {
    let Some(dims) = ctx.dims(at)? else { return Ok(None) };
    let [rows, columns] = dims else {
        let name = if at == 0 { "a" } else { "b" };
        let got = DisplayDims(dims);
        return Err(OpError::Invalid(format!("`{name}` expected 2 dimensions, got {got}")));
    };
    let (rows, columns) = (rows.clone(), columns.clone());
    let swapped = ctx.attrs().bool_or(attr, false)?;
    Ok(Some(if swapped { vec![columns, rows] } else { vec![rows, columns] }))
}

/// The shape rule.
pub(crate) fn infer_gemm(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(ctx.dtype(0)?, gemm_dims(ctx, [0, 1, 2])?)])
}

/// The dimensions of a product of these inputs: two sides and what is added.
pub(crate) fn gemm_dims(ctx: &InferCtx<'_>, [a, b, c]: [usize; 3]) -> Result<Vec<Dim>, OpError> {
    let (a, b) = (side_dims(ctx, a, "transA")?, side_dims(ctx, b, "transB")?);
    let (Some(a), Some(b)) = (a, b) else { return Ok(vec![Dim::Unknown, Dim::Unknown]) };
    let dims = matmul_dims(&a, &b)?;
    if ctx.has(c)
        && let Some(c) = ctx.dims(c)?
    {
        check_addend(c, &dims)?;
    }
    Ok(dims)
}

fn check_addend(c: &[Dim], dims: &[Dim]) -> Result<(), OpError> {
    let fits = |(have, want): (&Dim, &Dim)| have.as_i64() == Some(1) || !have.differs(want);
    if c.len() <= 2 && c.iter().rev().zip(dims.iter().rev()).all(fits) {
        return Ok(());
    }
    let (c, dims) = (DisplayDims(c), DisplayDims(dims));
    Err(OpError::Invalid(format!("`c` of {c} does not broadcast to {dims}")))
}
