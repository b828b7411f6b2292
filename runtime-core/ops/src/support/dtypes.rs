//! The numbers by which ONNX attributes name dtypes (`TensorProto.DataType`).

use remuda_ir::{Attrs, OpError};
use remuda_tensor::DType;

/// The dtype of each number, from 0 on.
const BY_NUMBER: [Option<DType>; 29] = [
    None,
    Some(DType::F32),
    Some(DType::U8),
    Some(DType::I8),
    Some(DType::U16),
    Some(DType::I16),
    Some(DType::I32),
    Some(DType::I64),
    Some(DType::String),
    Some(DType::Bool),
    Some(DType::F16),
    Some(DType::F64),
    Some(DType::U32),
    Some(DType::U64),
    Some(DType::C64),
    Some(DType::C128),
    Some(DType::BF16),
    Some(DType::F8E4M3FN),
    Some(DType::F8E4M3FNUZ),
    Some(DType::F8E5M2),
    Some(DType::F8E5M2FNUZ),
    Some(DType::U4),
    Some(DType::I4),
    Some(DType::F4E2M1),
    Some(DType::F8E8M0),
    Some(DType::U2),
    Some(DType::I2),
    Some(DType::F6E2M3),
    Some(DType::F6E3M2),
];

/// The dtype that ONNX gives this number.
pub(crate) fn dtype_of(number: i64) -> Result<DType, OpError> {
    let known = usize::try_from(number).ok().and_then(|at| *BY_NUMBER.get(at)?);
    known.ok_or_else(|| OpError::Invalid(format!("{number} is the number of no dtype")))
}

/// The dtype that an attribute names, if it is there; 0 counts as absent.
pub(crate) fn dtype_attr(attrs: &Attrs, name: &str) -> Result<Option<DType>, OpError> {
    attrs.int(name)?.filter(|&number| number != 0).map(dtype_of).transpose()
}
