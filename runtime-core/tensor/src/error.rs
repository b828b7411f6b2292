//! Why a tensor could not be made, viewed or read.

use crate::DType;

/// Why a tensor could not be made, viewed or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// Asked for elements of one type, holds another.
    #[error("expected elements of type `{expected}`, got `{got}`")]
    DType {
        /// What was asked for.
        expected: DType,
        /// What the tensor holds.
        got: DType,
    },
    /// The product of the dimensions does not fit in memory.
    #[error("dimensions {dims:?} of `{dtype}` need more bytes than can be addressed")]
    TooLarge {
        /// The element type.
        dtype: DType,
        /// The dimensions.
        dims: Vec<usize>,
    },
    /// The data is shorter or longer than the dimensions say.
    #[error("dimensions {dims:?} of `{dtype}` need {expected} bytes, got {got}")]
    Length {
        /// The element type.
        dtype: DType,
        /// The dimensions.
        dims: Vec<usize>,
        /// Bytes that the dimensions need.
        expected: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The operation needs another shape.
    #[error("{0}")]
    Shape(String),
    /// A byte of a boolean tensor is neither 0 nor 1.
    #[error("byte {at} of a `bool` tensor is {value}, expected 0 or 1")]
    Bool {
        /// Its position.
        at: usize,
        /// Its value.
        value: u8,
    },
}
