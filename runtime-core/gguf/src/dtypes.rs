//! Which dtype a tensor type number means, and the other way round.

use remuda_tensor::DType;
use remuda_tensor::dtype::BlockId;

use crate::error::Problem;

/// The types that are no block formats.
const PLAIN: [(u32, DType); 8] = [
    (0, DType::F32),
    (1, DType::F16),
    (24, DType::I8),
    (25, DType::I16),
    (26, DType::I32),
    (27, DType::I64),
    (28, DType::F64),
    (30, DType::BF16),
];

/// The types that the format once had.
const DROPPED: [(u32, &str); 8] = [
    (4, "q4_2"),
    (5, "q4_3"),
    (31, "q4_0_4_4"),
    (32, "q4_0_4_8"),
    (33, "q4_0_8_8"),
    (36, "iq4_nl_4_4"),
    (37, "iq4_nl_4_8"),
    (38, "iq4_nl_8_8"),
];

/// The dtype of a tensor type number.
pub(crate) fn from_number(got: u32) -> Result<DType, Problem> {
    if let Some(&(_, dtype)) = PLAIN.iter().find(|&&(number, _)| number == got) {
        return Ok(dtype);
    }
    if let Some(block) = BlockId::by_ggml_type(got) {
        return Ok(DType::Block(block));
    }
    Err(match DROPPED.iter().find(|&&(number, _)| number == got) {
        Some(&(_, name)) => Problem::DroppedType { got, name },
        None => Problem::TensorType { got },
    })
}

/// The tensor type number of a dtype.
pub(crate) fn to_number(dtype: DType) -> Result<u32, Problem> {
    if let DType::Block(block) = dtype {
        return Ok(block.format().ggml_type);
    }
    let found = PLAIN.iter().find(|&&(_, plain)| plain == dtype);
    found.map(|&(number, _)| number).ok_or(Problem::NoTypeNumber { dtype: dtype.name() })
}

/// Elements that a row must be a multiple of.
pub(crate) fn row_unit(dtype: DType) -> usize {
    if let DType::Block(block) = dtype { block.format().elements } else { 1 }
}
