//! Elements of several tensors side by side, so that one pick serves operators with many sources.

use remuda_ir::OpError;
use remuda_tensor::{DType, Tensor, packed};

/// All elements of these tensors of one dtype, in one dimension.
pub(crate) fn join_flat(tensors: &[&Tensor]) -> Result<Tensor, OpError> {
    let Some(first) = tensors.first() else {
        return Err(OpError::invalid("expected at least one input"));
    };
    let dtype = first.dtype();
    if let Some(other) = tensors.iter().find(|tensor| tensor.dtype() != dtype) {
        return Err(OpError::Invalid(format!("inputs are of `{dtype}` and `{}`", other.dtype())));
    }
    let count = tensors.iter().map(|tensor| tensor.len()).sum::<usize>();
    if dtype == DType::String {
        let texts = tensors.iter().flat_map(|tensor| tensor.texts()).map(str::to_owned).collect();
        return Ok(Tensor::from_strings([count], texts)?);
    }
    if dtype.is_packed() {
        let values = tensors
            .iter()
            .flat_map(|tensor| packed::unpack(dtype, &tensor.to_le_bytes(), tensor.len()));
        return Ok(Tensor::from_bytes(
            dtype,
            [count],
            &packed::pack(dtype, &values.collect::<Vec<_>>()),
        )?);
    }
    let bytes: Vec<u8> = tensors.iter().flat_map(|tensor| tensor.to_le_bytes()).collect();
    Ok(Tensor::from_bytes(dtype, [count], &bytes)?)
}

/// A tensor of one zero (one empty text) of this dtype.
pub(crate) fn one_zero(dtype: DType) -> Result<Tensor, OpError> {
    Ok(Tensor::zeros(dtype, [1])?)
}
