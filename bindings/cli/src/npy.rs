//! numpy's `.npy` files: one array of plain elements.
//!
//! Versions 1 to 3, every numeric element type of either byte order, booleans, and both orders of
//! dimensions are read; version 1 is written. Files are hostile: lengths are checked before memory is
//! asked for, and arrays of objects, which hold programs, are refused.

use remuda::{DType, Tensor, TensorError};

mod header;

use header::{Header, Order};

/// Why bytes are no array that can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NpyError {
    /// It is another kind of file, or an unknown version.
    #[error("expected a `.npy` file of version 1, 2 or 3")]
    NotNpy,
    /// The header breaks the format.
    #[error("the header is broken: {0}")]
    Header(&'static str),
    /// The element type is not one of numbers or booleans.
    #[error("elements of type `{0}` are not supported")]
    Elements(String),
    /// There are more or fewer elements than the header says.
    #[error("expected {expected} bytes of elements, got {got}")]
    Length {
        /// What the header says.
        expected: usize,
        /// What there is.
        got: usize,
    },
    /// The elements make no tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// The array in these bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Tensor, NpyError> {
    let (header, data) = header::split(bytes)?;
    let Header { dtype, order, column_major, dims } = header;
    let unit = match dtype {
        DType::C64 => 4,
        DType::C128 => 8,
        _ => dtype.element_bytes().unwrap_or(1),
    };
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let expected = count
        .and_then(|count| dtype.bytes_for(count))
        .ok_or(NpyError::Header("the dimensions overflow"))?;
    if expected != data.len() {
        return Err(NpyError::Length { expected, got: data.len() });
    }
    let swapped;
    let data = if order == Order::Big && unit > 1 {
        swapped = data
            .chunks_exact(unit)
            .flat_map(|element| element.iter().rev().copied())
            .collect::<Vec<u8>>();
        &swapped[..]
    } else {
        data
    };
    if !column_major {
        return Ok(Tensor::from_bytes(dtype, dims, data)?);
    }
    let reversed: Vec<usize> = dims.iter().rev().copied().collect();
    let axes: Vec<usize> = (0..dims.len()).rev().collect();
    Ok(Tensor::from_bytes(dtype, reversed, data)?.permute(&axes)?.contiguous())
}

/// The bytes of a file with this tensor. Types that numpy lacks are written as what numpy can hold:
/// floats of 16 bits and fewer as `float32`, small integers as bytes.
pub(crate) fn write(tensor: &Tensor) -> Result<Vec<u8>, NpyError> {
    let tensor = widened(tensor)?;
    let code = header::code(tensor.dtype())
        .ok_or_else(|| NpyError::Elements(tensor.dtype().to_string()))?;
    let mut bytes = header::text(code, tensor.dims());
    bytes.extend(tensor.to_le_bytes());
    Ok(bytes)
}

/// Whether numpy has this type, so that nothing is widened.
pub(crate) fn is_exact(dtype: DType) -> bool {
    header::code(dtype).is_some()
}

fn widened(tensor: &Tensor) -> Result<Tensor, NpyError> {
    let dtype = tensor.dtype();
    if header::code(dtype).is_some() || dtype == DType::String {
        return Ok(tensor.clone());
    }
    if dtype.is_int() {
        let small = tensor
            .to_i64_vec()?
            .into_iter()
            .map(|value| value.to_le_bytes()[0])
            .collect::<Vec<_>>();
        let wide = if dtype.is_signed_int() { DType::I8 } else { DType::U8 };
        return Ok(Tensor::from_bytes(wide, tensor.dims(), &small)?);
    }
    Ok(Tensor::from_vec(tensor.dims(), tensor.to_f32_vec()?)?)
}

#[cfg(test)]
mod tests;
