//! What reference kernels compute with: a row-major array of `f64`, and integers that wrap.

use remuda_ir::OpError;
use remuda_tensor::{DType, Element, Tensor, TensorError, dispatch_int, packed};

use super::numbers::rounded;
use super::unsupported_dtype;

/// A row-major array of `f64`.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Array {
    /// The elements of a tensor of any numeric dtype.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self, OpError> {
        Ok(Self { dims: tensor.dims().to_vec(), values: tensor.to_f64_vec()? })
    }

    /// The elements of a tensor that may be left out.
    pub(crate) fn of_optional(tensor: Option<&Tensor>) -> Result<Option<Self>, OpError> {
        tensor.map(Self::of).transpose()
    }

    /// An array of one value everywhere.
    pub(crate) fn filled(dims: impl Into<Vec<usize>>, value: f64) -> Result<Self, OpError> {
        let dims = dims.into();
        Ok(Self { values: vec_of(&dims, value)?, dims })
    }

    /// The elements rounded to a float dtype, once.
    pub(crate) fn to_floats(&self, dtype: DType) -> Result<Tensor, OpError> {
        rounded(&self.values, dtype, &self.dims)
    }

    /// The elements as a float dtype, or truncated and saturated to a whole-byte integer dtype.
    pub(crate) fn to_numbers(&self, dtype: DType) -> Result<Tensor, OpError> {
        dispatch_int!(dtype, T => {
            let values = self.values.iter().map(|&value| T::from_f64(value)).collect();
            Ok(Tensor::from_vec::<T>(&self.dims[..], values)?)
        }, else self.to_floats(dtype))
    }

    /// The same elements with the axes in another order.
    pub(crate) fn permuted(&self, axes: &[usize]) -> Result<Self, OpError> {
        let view = Tensor::from_vec(&self.dims[..], self.values.clone())?.permute(axes)?;
        Ok(Self { dims: view.dims().to_vec(), values: view.to_vec()? })
    }

    /// The same elements under other dimensions.
    pub(crate) fn reshaped(self, dims: impl Into<Vec<usize>>) -> Result<Self, OpError> {
        let dims = dims.into();
        if element_count(&dims)? == self.values.len() {
            return Ok(Self { dims, ..self });
        }
        Err(OpError::Invalid(format!("cannot reshape {:?} to {dims:?}", self.dims)))
    }

    /// The elements repeated to these dimensions.
    pub(crate) fn broadcast_to(&self, dims: &[usize]) -> Result<Self, OpError> {
        element_count(dims)?;
        let view = Tensor::from_vec(&self.dims[..], self.values.clone())?.broadcast_to(dims)?;
        Ok(Self { dims: dims.to_vec(), values: view.to_vec()? })
    }

    /// The dimensions, if there are `N`.
    pub(crate) fn with_rank<const N: usize>(&self, what: &str) -> Result<[usize; N], OpError> {
        with_rank(&self.dims, what)
    }
}

/// The dimensions of a tensor, if there are `N`.
pub(crate) fn with_rank<const N: usize>(dims: &[usize], what: &str) -> Result<[usize; N], OpError> {
    dims.try_into()
        .map_err(|_| OpError::Invalid(format!("`{what}` expected {N} dimensions, got {dims:?}")))
}

fn too_large(dims: &[usize]) -> OpError {
    TensorError::TooLarge { dtype: DType::F64, dims: dims.to_vec() }.into()
}

/// An empty list with room for the elements of these dimensions, and their number.
fn reserved<T>(dims: &[usize]) -> Result<(Vec<T>, usize), OpError> {
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let count = count.ok_or_else(|| too_large(dims))?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| too_large(dims))?;
    Ok((values, count))
}

/// The number of elements of these dimensions, if there is memory for them as `f64`.
pub(crate) fn element_count(dims: &[usize]) -> Result<usize, OpError> {
    Ok(reserved::<f64>(dims)?.1)
}

/// As many copies of a value as the dimensions have elements.
pub(crate) fn vec_of<T: Clone>(dims: &[usize], value: T) -> Result<Vec<T>, OpError> {
    let (mut values, count) = reserved(dims)?;
    values.resize(count, value);
    Ok(values)
}

/// A tensor of an integer dtype (packed ones too); values wrap to its width.
pub(crate) fn wrapped_ints(
    dtype: DType,
    dims: &[usize],
    values: &[i64],
) -> Result<Tensor, OpError> {
    if dtype.is_packed() && dtype.is_int() {
        let low: Vec<i8> = values.iter().map(|&value| value as i8).collect();
        return Ok(Tensor::from_bytes(dtype, dims, &packed::pack(dtype, &low))?);
    }
    if dtype == DType::I64 {
        return Ok(Tensor::from_vec(dims, values.to_vec())?);
    }
    macro_rules! wrap {
        ($($name:ident $rust:ty),*) => {
            match dtype {
                $(DType::$name => {
                    Ok(Tensor::from_vec(dims, values.iter().map(|&value| value as $rust).collect::<Vec<_>>())?)
                })*
                other => Err(unsupported_dtype(other)),
            }
        };
    }
    wrap!(I8 i8, I16 i16, I32 i32, U8 u8, U16 u16, U32 u32, U64 u64)
}

/// Every position of these dimensions, in row-major order.
pub(crate) fn positions(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..dims.iter().product::<usize>()).map(|flat| position_of(flat, dims))
}

/// The position of a row-major offset.
pub(crate) fn position_of(flat: usize, dims: &[usize]) -> Vec<usize> {
    let mut rest = flat;
    let mut position = vec![0; dims.len()];
    for (at, &dim) in dims.iter().enumerate().rev() {
        position[at] = rest % dim.max(1);
        rest /= dim.max(1);
    }
    position
}

/// The row-major offset of a position.
pub(crate) fn offset_of(position: &[usize], dims: &[usize]) -> usize {
    position.iter().zip(dims).fold(0, |offset, (&at, &dim)| offset * dim + at)
}
