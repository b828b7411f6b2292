//! What shape rules and reference kernels of several operators share.

pub(crate) mod activations;
pub(crate) mod array;
pub(crate) mod attention;
pub(crate) mod axes;
pub(crate) mod blocks;
pub(crate) mod bodies;
pub(crate) mod cached;
pub(crate) mod compose;
pub(crate) mod contents;
pub(crate) mod convert;
pub(crate) mod convolve;
pub(crate) mod dtypes;
pub(crate) mod einsum;
pub(crate) mod elementwise;
pub(crate) mod experts;
pub(crate) mod flat;
pub(crate) mod gelu;
pub(crate) mod gemm;
pub(crate) mod index_rows;
pub(crate) mod join;
pub(crate) mod layer_norm;
pub(crate) mod likelihood;
pub(crate) mod linear;
pub(crate) mod lstm;
pub(crate) mod matmul;
pub(crate) mod ml;
pub(crate) mod norm;
pub(crate) mod normalize;
pub(crate) mod numbers;
pub(crate) mod pool;
pub(crate) mod qlinear;
pub(crate) mod quantize;
pub(crate) mod quantize_linear;
pub(crate) mod random;
pub(crate) mod re2;
pub(crate) mod recurrent;
pub(crate) mod reduce;
pub(crate) mod rotary;
pub(crate) mod scatter;
pub(crate) mod sequences;
pub(crate) mod signal;
pub(crate) mod simplified_norm;
pub(crate) mod skip_norm;
pub(crate) mod slices;
pub(crate) mod svm;
pub(crate) mod training;
pub(crate) mod trees;
pub(crate) mod types;
pub(crate) mod upgrades;
pub(crate) mod window;

use remuda_ir::OpError;
use remuda_tensor::{DType, Tensor};

/// The one element of an integer tensor.
pub(crate) fn scalar_i64(tensor: &Tensor) -> Result<i64, OpError> {
    match tensor.to_i64_vec()?[..] {
        [value] => Ok(value),
        _ => Err(OpError::Invalid(format!(
            "expected one element, got dimensions {:?}",
            tensor.dims()
        ))),
    }
}

/// A refusal of a dtype that the operator's rules allow but no kernel implements.
pub(crate) fn unsupported_dtype(dtype: DType) -> OpError {
    OpError::Unsupported(format!("elements of `{dtype}` are not supported"))
}
