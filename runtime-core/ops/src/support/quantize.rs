//! Linear quantisation: numbers as `(stored - zero point) * scale`, with one scale for the tensor, for
//! each place along an axis, or for each block of places.

use remuda_ir::{Attrs, KernelCtx, OpError, Val};
use remuda_tensor::float8::{self, Overflow};
use remuda_tensor::{DType, Tensor, packed};

use super::array::{Array, element_count, vec_of, wrapped_ints};
use super::axes::resolve_axis;
use super::unsupported_dtype;

/// The one number of a scale or zero point that holds for the whole tensor.
pub(crate) fn scalar_f64(tensor: &Tensor, name: &str) -> Result<f64, OpError> {
    match tensor.to_f64_vec()?[..] {
        [value] => Ok(value),
        _ => Err(OpError::Invalid(format!(
            "`{name}` expected one element, got dimensions {:?}",
            tensor.dims()
        ))),
    }
}

/// As [`scalar_f64`] for one that may be left out.
pub(crate) fn scalar_or(tensor: Option<&Tensor>, name: &str, default: f64) -> Result<f64, OpError> {
    tensor.map_or(Ok(default), |tensor| scalar_f64(tensor, name))
}

/// The number that holds for each element of a tensor: one for all, one for each place along `axis`,
/// or with a block size one for each block along it.
pub(crate) fn spread(
    parameter: &Tensor,
    name: &str,
    dims: &[usize],
    axis: i64,
    block: usize,
) -> Result<Vec<f64>, OpError> {
    let values = parameter.to_f64_vec()?;
    let own = parameter.dims();
    if block == 0
        && let [value] = values[..]
        && own.len() <= 1
    {
        return vec_of(dims, value);
    }
    let axis = resolve_axis(axis, dims.len())?;
    let mut wanted = dims.to_vec();
    if block > 0 {
        wanted[axis] = dims[axis].div_ceil(block);
    } else {
        wanted = vec![dims[axis]];
    }
    if own != wanted {
        return Err(OpError::Invalid(format!("`{name}` expected {wanted:?}, got {own:?}")));
    }
    let inner: usize = dims[axis + 1..].iter().product();
    let count = element_count(dims)?;
    let place = |at: usize| {
        let (along, within) = (at / inner % dims[axis], at % inner);
        match block {
            0 => along,
            _ => (at / inner / dims[axis] * wanted[axis] + along / block) * inner + within,
        }
    };
    Ok((0..count).map(|at| values[place(at)]).collect())
}

/// The attribute `block_size`.
pub(crate) fn read_block_size(attrs: &Attrs) -> Result<usize, OpError> {
    let size = attrs.int_or("block_size", 0)?;
    usize::try_from(size)
        .map_err(|_| OpError::Invalid(format!("`block_size` expected a size, got {size}")))
}

/// The least and greatest integer of a dtype.
fn int_range(dtype: DType) -> Option<(f64, f64)> {
    let range = match dtype {
        DType::I2 => (-2.0, 1.0),
        DType::U2 => (0.0, 3.0),
        DType::I4 => (-8.0, 7.0),
        DType::U4 => (0.0, 15.0),
        DType::I8 => (-128.0, 127.0),
        DType::U8 => (0.0, 255.0),
        DType::I16 => (-32768.0, 32767.0),
        DType::U16 => (0.0, 65535.0),
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        _ => return None,
    };
    Some(range)
}

/// Stores numbers that are already divided by their scale: integers rounded to even, moved by the
/// zero point and clamped; small floats encoded.
pub(crate) fn store(
    dtype: DType,
    quotients: &Array,
    zero: impl Fn(usize) -> f64,
    overflow: Overflow,
) -> Result<Tensor, OpError> {
    let (dims, values) = (&quotients.dims, quotients.values.iter().enumerate());
    if let Some((least, most)) = int_range(dtype) {
        let stored = values.map(|(at, value)| {
            let moved = value.round_ties_even() + zero(at);
            moved.clamp(least, most) as i64
        });
        return wrapped_ints(dtype, dims, &stored.collect::<Vec<_>>());
    }
    let layout = match dtype {
        DType::F8E4M3FN => float8::E4M3FN,
        DType::F8E4M3FNUZ => float8::E4M3FNUZ,
        DType::F8E5M2 => float8::E5M2,
        DType::F8E5M2FNUZ => float8::E5M2FNUZ,
        other => packed::layout(other).ok_or_else(|| unsupported_dtype(other))?,
    };
    let bits = values.map(|(at, value)| layout.encode((value + zero(at)) as f32, overflow));
    let bits: Vec<u8> = bits.collect();
    if dtype.is_packed() {
        let bits: Vec<i8> = bits.into_iter().map(u8::cast_signed).collect();
        return Ok(Tensor::from_bytes(dtype, &dims[..], &packed::pack(dtype, &bits))?);
    }
    Ok(Tensor::from_bytes(dtype, &dims[..], &bits)?)
}

/// Quantises real numbers with one scale and zero point.
pub(crate) fn quantized(
    dtype: DType,
    mut values: Array,
    scale: f64,
    zero: f64,
) -> Result<Tensor, OpError> {
    values.values.iter_mut().for_each(|value| *value = f64::from((*value / scale) as f32));
    store(dtype, &values, |_| zero, Overflow::Saturate)
}

/// The real numbers of a tensor input with one scale and zero point, which are inputs too.
pub(crate) fn dequantized(
    ctx: &KernelCtx<'_>,
    [tensor, scale, zero]: [usize; 3],
) -> Result<Array, OpError> {
    let scale = scalar_f64(ctx.tensor(scale)?, "scale")?;
    let zero = scalar_or(ctx.opt_tensor(zero)?, "zero point", 0.0)?;
    let mut array = Array::of(ctx.tensor(tensor)?)?;
    array.values.iter_mut().for_each(|value| *value = (*value - zero) * scale);
    Ok(array)
}

/// Quantises the result of an operator whose output scale and zero point are inputs; without a zero
/// point the dtype is `default`.
pub(crate) fn requantized(
    ctx: &KernelCtx<'_>,
    values: Array,
    [scale, zero]: [usize; 2],
    default: DType,
) -> Result<Vec<Val>, OpError> {
    let zero = ctx.opt_tensor(zero)?;
    let dtype = zero.map_or(default, Tensor::dtype);
    let scale = scalar_f64(ctx.tensor(scale)?, "scale")?;
    Ok(vec![quantized(dtype, values, scale, scalar_or(zero, "zero point", 0.0)?)?.into()])
}

/// The stored integers minus their zero points, which may hold for the tensor, for each row or for
/// each column of matrices.
pub(crate) fn centered(
    tensor: &Tensor,
    zero: Option<&Tensor>,
    by_column: bool,
) -> Result<Array, OpError> {
    let mut array = Array::of(tensor)?;
    let Some(zero) = zero else { return Ok(array) };
    let zeros = matrix_parameter(zero, "zero point", &array.dims, by_column)?;
    array.values.iter_mut().zip(zeros).for_each(|(value, zero)| *value -= zero);
    Ok(array)
}

/// A parameter of matrices for each of their elements.
pub(crate) fn matrix_parameter(
    parameter: &Tensor,
    name: &str,
    dims: &[usize],
    by_column: bool,
) -> Result<Vec<f64>, OpError> {
    let mut array = Array::of(parameter)?;
    if let [value] = array.values[..] {
        return vec_of(dims, value);
    }
    if array.dims.len() == 1 && !by_column {
        array.dims.push(1);
    }
    let spread = array.broadcast_to(dims).map_err(|_| {
        let got = parameter.dims();
        OpError::Invalid(format!("`{name}` of {got:?} does not fit matrices {dims:?}"))
    })?;
    Ok(spread.values)
}

/// Whole numbers as `i32`, wrapping.
pub(crate) fn to_i32(array: &Array) -> Result<Tensor, OpError> {
    let values: Vec<i64> = array.values.iter().map(|&value| value as i64).collect();
    wrapped_ints(DType::I32, &array.dims, &values)
}

/// The scale and zero point with which `u8` holds these numbers and zero.
pub(crate) fn dynamic_range(values: &[f64]) -> (f32, u8) {
    let least = values.iter().copied().fold(0.0, f64::min) as f32;
    let most = values.iter().copied().fold(0.0, f64::max) as f32;
    let scale = if most == least { 1.0 } else { (most - least) / 255.0 };
    let zero = (-least / scale).round_ties_even().clamp(0.0, 255.0);
    (scale, zero as u8)
}

/// The stored integers less their zero points, one for the tensor or one for each place of axis 0.
pub(crate) fn less_zero(tensor: &Tensor, zero: Option<&Tensor>) -> Result<Array, OpError> {
    let mut array = Array::of(tensor)?;
    if let Some(zero) = zero {
        let zeros = spread(zero, "zero point", &array.dims, 0, 0)?;
        array.values.iter_mut().zip(zeros).for_each(|(value, zero)| *value -= zero);
    }
    Ok(array)
}

/// Matrices of stored integers as real numbers; scales and zero points may be one for each row or
/// column.
pub(crate) fn scaled_matrix(
    tensor: &Tensor,
    scale: &Tensor,
    zero: Option<&Tensor>,
    by_column: bool,
) -> Result<Array, OpError> {
    let mut array = centered(tensor, zero, by_column)?;
    let scales = matrix_parameter(scale, "scale", &array.dims, by_column)?;
    array.values.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
    Ok(array)
}
