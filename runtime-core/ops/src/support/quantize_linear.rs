//! `QuantizeLinear` and `DequantizeLinear`, which two domains share.

use remuda_ir::{Attrs, InferCtx, Inferred, KernelCtx, OpError, Val};
use remuda_tensor::float8::Overflow;
use remuda_tensor::{DType, Tensor, bf16, f16};

use super::array::Array;
use super::dtypes::dtype_attr;
use super::quantize::{read_block_size, spread, store};

fn output_dtype(attrs: &Attrs, zero: Option<DType>) -> Result<DType, OpError> {
    let asked = dtype_attr(attrs, "output_dtype")?;
    match (asked, zero) {
        (Some(asked), Some(zero)) if asked != zero => Err(OpError::Invalid(format!(
            "`output_dtype` is `{asked}`, the zero point is `{zero}`"
        ))),
        (asked, zero) => Ok(zero.or(asked).unwrap_or(DType::U8)),
    }
}

/// The shape rule of quantisation.
pub(crate) fn infer_quantize(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let zero = if ctx.has(2) { Some(ctx.dtype(2)?) } else { None };
    let dtype = output_dtype(ctx.attrs(), zero)?;
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[_]>::to_vec))])
}

/// Rounds to the precision of the division.
fn rounded(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F16 => f16::from_f64(value).to_f64(),
        DType::BF16 => bf16::from_f64(value).to_f64(),
        DType::F32 => f64::from(value as f32),
        _ => value,
    }
}

/// Quantises input 0 by the scales of input 1 and the zero points of input 2.
pub(crate) fn quantize_linear(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, scale, zero) = (ctx.attrs(), ctx.tensor(1)?, ctx.opt_tensor(2)?);
    let dtype = output_dtype(attrs, zero.map(Tensor::dtype))?;
    let precision = dtype_attr(attrs, "precision")?.unwrap_or(match scale.dtype() {
        dtype @ (DType::F16 | DType::BF16) => dtype,
        _ if ctx.tensor(0)?.dtype().is_int() => DType::F64,
        _ => DType::F32,
    });
    let mut x = Array::of(ctx.tensor(0)?)?;
    let (axis, block) = (attrs.int_or("axis", 1)?, read_block_size(attrs)?);
    let scales = spread(scale, "y_scale", &x.dims, axis, block)?;
    for (value, scale) in x.values.iter_mut().zip(scales) {
        *value = rounded(precision, rounded(precision, *value) / rounded(precision, scale));
    }
    let zeros = zero.map(|zero| spread(zero, "y_zero_point", &x.dims, axis, block)).transpose()?;
    let saturate = attrs.bool_or("saturate", true)? || dtype.is_packed();
    let overflow = if saturate { Overflow::Saturate } else { Overflow::Special };
    let zero = |at: usize| zeros.as_ref().map_or(0.0, |zeros| zeros[at]);
    Ok(vec![store(dtype, &x, zero, overflow)?.into()])
}

fn real_dtype(attrs: &Attrs, scale: DType) -> Result<DType, OpError> {
    let default = if scale == DType::F8E8M0 { DType::F32 } else { scale };
    Ok(dtype_attr(attrs, "output_dtype")?.unwrap_or(default))
}

/// The shape rule of dequantisation.
pub(crate) fn infer_dequantize(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = real_dtype(ctx.attrs(), ctx.dtype(1)?)?;
    Ok(vec![Inferred::maybe(dtype, ctx.dims(0)?.map(<[_]>::to_vec))])
}

/// The real numbers of input 0 by the scales of input 1 and the zero points of input 2.
pub(crate) fn dequantize_linear(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (attrs, scale) = (ctx.attrs(), ctx.tensor(1)?);
    let mut x = Array::of(ctx.tensor(0)?)?;
    let (axis, block) = (attrs.int_or("axis", 1)?, read_block_size(attrs)?);
    if let Some(zero) = ctx.opt_tensor(2)? {
        let zeros = spread(zero, "x_zero_point", &x.dims, axis, block)?;
        x.values.iter_mut().zip(zeros).for_each(|(value, zero)| *value -= zero);
    }
    let scales = spread(scale, "x_scale", &x.dims, axis, block)?;
    x.values.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
    Ok(vec![x.to_floats(real_dtype(attrs, scale.dtype())?)?.into()])
}
