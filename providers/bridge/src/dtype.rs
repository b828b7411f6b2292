//! Numbers of the element types.

use remuda_abi::dtype as code;
use remuda_tensor::DType;
use remuda_tensor::dtype::BlockId;

const CODES: &[(DType, u32)] = &[
    (DType::F32, code::F32),
    (DType::U8, code::U8),
    (DType::I8, code::I8),
    (DType::U16, code::U16),
    (DType::I16, code::I16),
    (DType::I32, code::I32),
    (DType::I64, code::I64),
    (DType::String, code::STRING),
    (DType::Bool, code::BOOL),
    (DType::F16, code::F16),
    (DType::F64, code::F64),
    (DType::U32, code::U32),
    (DType::U64, code::U64),
    (DType::C64, code::C64),
    (DType::C128, code::C128),
    (DType::BF16, code::BF16),
    (DType::F8E4M3FN, code::F8E4M3FN),
    (DType::F8E4M3FNUZ, code::F8E4M3FNUZ),
    (DType::F8E5M2, code::F8E5M2),
    (DType::F8E5M2FNUZ, code::F8E5M2FNUZ),
    (DType::U4, code::U4),
    (DType::I4, code::I4),
    (DType::F4E2M1, code::F4E2M1),
    (DType::F8E8M0, code::F8E8M0),
    (DType::U2, code::U2),
    (DType::I2, code::I2),
    (DType::F6E2M3, code::F6E2M3),
    (DType::F6E3M2, code::F6E3M2),
];

/// The number of a dtype.
#[must_use]
pub fn dtype_code(dtype: DType) -> u32 {
    if let DType::Block(block) = dtype {
        return code::BLOCK + block.format().ggml_type;
    }
    CODES.iter().find(|(known, _)| *known == dtype).map_or(0, |&(_, code)| code)
}

/// The dtype of a number.
#[must_use]
pub fn dtype_from_code(number: u32) -> Option<DType> {
    if let Some(ggml_type) = number.checked_sub(code::BLOCK) {
        return BlockId::by_ggml_type(ggml_type).map(DType::Block);
    }
    CODES.iter().find(|(_, known)| *known == number).map(|&(dtype, _)| dtype)
}

#[cfg(test)]
mod tests {
    use super::{dtype_code, dtype_from_code};
    use remuda_tensor::DType;

    #[test]
    fn every_dtype_has_a_number_of_its_own() {
        for dtype in DType::plain() {
            assert_eq!(dtype_from_code(dtype_code(dtype)), Some(dtype));
        }
        let q8_0 = DType::from_name("q8_0").unwrap();
        assert_eq!(dtype_from_code(dtype_code(q8_0)), Some(q8_0));
        assert_eq!(dtype_from_code(0), None);
    }
}
