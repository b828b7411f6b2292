//! Tensors of the host as the device holds them, and back.

use std::borrow::Cow;

use remuda_sdk::Failure;
use remuda_sdk::tensor::storage::AlignedBytes;
use remuda_sdk::tensor::{DType, Tensor, TensorError, rows};

use crate::lower::{Form, Rows};

pub(super) fn invalid(error: TensorError) -> Failure {
    Failure::Invalid(error.to_string())
}

/// The bytes of a tensor whose elements lie together.
pub(super) fn bytes_of(tensor: &Tensor, form: Form) -> Result<Cow<'_, [u8]>, Failure> {
    match (form, tensor.dtype()) {
        (Form::Indices(rows), _) => index_words(tensor, rows).map(Cow::Owned),
        (Form::Plain, DType::Bool) => {
            let values = tensor.to_vec::<bool>().map_err(invalid)?;
            let words = values.into_iter().flat_map(|value| u32::from(value).to_le_bytes());
            Ok(Cow::Owned(words.collect()))
        }
        (Form::Plain, DType::I64) => int_words(tensor).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(tensor.bytes().unwrap_or_default())),
    }
}

/// Integers of 32 bits, if all are.
fn int_words(tensor: &Tensor) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(tensor.len() * 4);
    for value in tensor.to_i64_vec().map_err(invalid)? {
        let value = i32::try_from(value).map_err(|_| Failure::Unsupported {
            node: None,
            text: format!("{value} is no integer of 32 bits, which is what the device has"),
        })?;
        bytes.extend(value.to_le_bytes());
    }
    Ok(bytes)
}

/// Indices into so many rows, from the first on.
fn index_words(tensor: &Tensor, rows: Rows) -> Result<Vec<u8>, Failure> {
    let size = i64::try_from(rows.count).unwrap_or(i64::MAX);
    let mut bytes = Vec::with_capacity(tensor.len() * 4);
    for index in tensor.to_i64_vec().map_err(invalid)? {
        let place = if index < 0 && rows.wraps { index.saturating_add(size) } else { index };
        let place = i32::try_from(place).ok().filter(|_| (0..size).contains(&place));
        let place = place.ok_or_else(|| {
            Failure::Invalid(format!("index {index} is out of bounds for {size} elements"))
        })?;
        bytes.extend(place.to_le_bytes());
    }
    Ok(bytes)
}

/// A tensor of words of the device.
pub(super) fn tensor_of(dtype: DType, dims: &[usize], words: &[u8]) -> Result<Tensor, Failure> {
    if dtype == DType::Bool {
        let values = words.as_chunks::<4>().0.iter().map(|word| *word != [0; 4]).collect();
        return Tensor::from_vec::<bool>(dims.to_vec(), values).map_err(invalid);
    }
    if dtype == DType::F32 {
        return Tensor::from_bytes(dtype, dims.to_vec(), words).map_err(invalid);
    }
    let floats: Vec<f32> =
        words.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
    let mut bytes = AlignedBytes::zeroed(dtype.bytes_for(floats.len()).unwrap_or(0));
    rows::encode(dtype, &floats, bytes.bytes_mut()).map_err(invalid)?;
    Tensor::from_bytes(dtype, dims.to_vec(), bytes.bytes()).map_err(invalid)
}
