//! What a tensor is: its element type, its dimensions (numbers or symbols) and its bytes.
//!
//! A [`Tensor`] is a cheap-to-clone, read-only, strided view of shared memory; slicing, transposing
//! and broadcasting copy nothing. A [`TensorType`] is what is known of a tensor before it exists:
//! a [`DType`] and, where the rank is known, a list of [`Dim`]s. Weights keep their block format as
//! a dtype; the formats live in [`quant`], one file each.
//!
//! The crate allows unsafe code in two modules only: [`storage`] (aligned memory and typed views of
//! bytes) and nowhere else.

pub mod dim;
pub mod dispatch;
pub mod dtype;
pub mod element;
mod error;
pub mod float8;
pub mod index;
pub mod packed;
pub mod quant;
pub mod rows;
#[expect(unsafe_code, reason = "typed views of shared bytes; every block says why it is sound")]
pub mod storage;
mod tensor;

pub use dim::{Dim, parse_dim};
pub use dtype::DType;
pub use element::Element;
pub use error::TensorError;
pub use half::{bf16, f16};
pub use storage::{Memory, Scalar};
pub use tensor::Tensor;

/// What is known of a tensor before it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The element type.
    pub dtype: DType,
    /// The dimensions; `None` when not even the rank is known.
    pub dims: Option<Vec<Dim>>,
}

impl TensorType {
    /// A tensor type of known rank.
    pub fn new(dtype: DType, dims: impl IntoIterator<Item = Dim>) -> Self {
        Self { dtype, dims: Some(dims.into_iter().collect()) }
    }

    /// A tensor type of unknown rank.
    #[must_use]
    pub fn unranked(dtype: DType) -> Self {
        Self { dtype, dims: None }
    }

    /// The dimensions as numbers, if every one is known.
    #[must_use]
    pub fn fixed_dims(&self) -> Option<Vec<usize>> {
        self.dims.as_ref()?.iter().map(Dim::as_usize).collect()
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.dims {
            None => write!(f, "{}[..]", self.dtype),
            Some(dims) => write!(f, "{}{}", self.dtype, dim::DisplayDims(dims)),
        }
    }
}
