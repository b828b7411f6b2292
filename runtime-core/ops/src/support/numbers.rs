//! The elements of a tensor of whole-byte numbers in the widest type of their kind: floats as `f64`,
//! integers as `i128`.
//!
//! Computing in a wider type and rounding once is what makes the reference kernels the oracle; integers
//! wrap to their width as ONNX's own reference does. A kernel over these is compiled once, and not once
//! for each dtype.

use remuda_ir::OpError;
use remuda_tensor::{DType, Element, Tensor, TensorError, dispatch_float, dispatch_int};

use super::unsupported_dtype;

/// Integers by their values; wraps back to the width of the dtype.
pub(crate) trait Wrapping: Element {
    fn widen(self) -> i128;
    fn wrap(value: i128) -> Self;
}

macro_rules! wrapping {
    ($($rust:ty),*) => {$(
        impl Wrapping for $rust {
            fn widen(self) -> i128 {
                i128::from(self)
            }
            fn wrap(value: i128) -> Self {
                value as $rust
            }
        }
    )*};
}

wrapping!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Row-major elements of one kind.
pub(crate) enum Numbers {
    Floats(Vec<f64>),
    Ints(Vec<i128>),
}

/// The elements of two tensors of one dtype.
pub(crate) enum Pair {
    Floats(Vec<f64>, Vec<f64>),
    Ints(Vec<i128>, Vec<i128>),
}

impl Numbers {
    /// The elements of a tensor.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self, OpError> {
        dispatch_int!(tensor.dtype(), T => {
            Ok(Self::Ints(tensor.to_vec::<T>()?.into_iter().map(Wrapping::widen).collect()))
        }, else {
            check_float(tensor.dtype())?;
            Ok(Self::Floats(tensor.to_f64_vec()?))
        })
    }

    /// A tensor of these elements, each rounded or wrapped once.
    pub(crate) fn to_tensor(&self, dtype: DType, dims: &[usize]) -> Result<Tensor, OpError> {
        match self {
            Self::Floats(values) => rounded(values, dtype, dims),
            Self::Ints(values) => dispatch_int!(dtype, T => {
                let values = values.iter().map(|&value| T::wrap(value)).collect();
                Ok(Tensor::from_vec::<T>(dims, values)?)
            }, else Err(unsupported_dtype(dtype))),
        }
    }
}

impl Pair {
    /// The elements of both.
    pub(crate) fn of(a: &Tensor, b: &Tensor) -> Result<Self, OpError> {
        check_same(a.dtype(), b)?;
        match (Numbers::of(a)?, Numbers::of(b)?) {
            (Numbers::Floats(a), Numbers::Floats(b)) => Ok(Self::Floats(a, b)),
            (Numbers::Ints(a), Numbers::Ints(b)) => Ok(Self::Ints(a, b)),
            _ => Err(OpError::Bug("numbers of one dtype are of two kinds".into())),
        }
    }
}

/// Refuses a tensor of another dtype.
pub(crate) fn check_same(expected: DType, tensor: &Tensor) -> Result<(), OpError> {
    match tensor.dtype() {
        got if got == expected => Ok(()),
        got => Err(TensorError::DType { expected, got }.into()),
    }
}

/// Refuses what is no float of 16 bits and more.
pub(crate) fn check_float(dtype: DType) -> Result<(), OpError> {
    match dtype {
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Ok(()),
        other => Err(unsupported_dtype(other)),
    }
}

/// A tensor of floats, each rounded once.
pub(crate) fn rounded(values: &[f64], dtype: DType, dims: &[usize]) -> Result<Tensor, OpError> {
    dispatch_float!(dtype, T => {
        let values = values.iter().map(|&value| T::from_f64(value)).collect();
        Ok(Tensor::from_vec::<T>(dims, values)?)
    }, else Err(unsupported_dtype(dtype)))
}
