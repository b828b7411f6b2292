//! Rows of floats in the dtype they are stored in: weights and cached keys and values are decoded
//! (and encoded) row by row where they are used.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::storage::{cast, cast_mut};
use crate::{DType, TensorError};

/// Decodes whole rows: as many values as the bytes hold.
///
/// # Errors
/// When the dtype is no float and no block format, the lengths do not match, or the bytes are
/// misaligned.
pub fn decode(dtype: DType, bytes: &[u8], values: &mut [f32]) -> Result<(), TensorError> {
    check(dtype, bytes.len(), values.len())?;
    let misaligned = || TensorError::Shape(format!("the memory of `{dtype}` is misaligned"));
    match dtype {
        DType::F32 => values.copy_from_slice(cast(bytes).ok_or_else(misaligned)?),
        DType::F16 => {
            cast::<f16>(bytes).ok_or_else(misaligned)?.convert_to_f32_slice(values);
        }
        DType::BF16 => {
            cast::<bf16>(bytes).ok_or_else(misaligned)?.convert_to_f32_slice(values);
        }
        DType::Block(block) => (block.format().dequantize)(bytes, values),
        got => return Err(TensorError::DType { expected: DType::F32, got }),
    }
    Ok(())
}

/// Encodes whole rows, rounding to nearest.
///
/// # Errors
/// As for [`decode`], and for block formats that can only be decoded.
pub fn encode(dtype: DType, values: &[f32], bytes: &mut [u8]) -> Result<(), TensorError> {
    check(dtype, bytes.len(), values.len())?;
    let misaligned = || TensorError::Shape(format!("the memory of `{dtype}` is misaligned"));
    match dtype {
        DType::F32 => cast_mut::<f32>(bytes).ok_or_else(misaligned)?.copy_from_slice(values),
        DType::F16 => {
            cast_mut::<f16>(bytes).ok_or_else(misaligned)?.convert_from_f32_slice(values);
        }
        DType::BF16 => {
            cast_mut::<bf16>(bytes).ok_or_else(misaligned)?.convert_from_f32_slice(values);
        }
        DType::Block(block) => block
            .format()
            .quantize_into(values, bytes)
            .map_err(|error| TensorError::Shape(error.to_string()))?,
        got => return Err(TensorError::DType { expected: DType::F32, got }),
    }
    Ok(())
}

fn check(dtype: DType, bytes: usize, values: usize) -> Result<(), TensorError> {
    if dtype.bytes_for(values) == Some(bytes) {
        return Ok(());
    }
    Err(TensorError::Shape(format!("{values} elements of `{dtype}` do not take {bytes} bytes")))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::DType;

    #[test]
    fn rows_come_back_within_their_rounding() {
        let values: Vec<f32> = (0..64i8).map(|at| f32::from(at - 30) / 8.0).collect();
        for (name, most) in
            [("f32", 0.0), ("f16", 0.0), ("bf16", 0.0), ("q8_0", 0.03), ("q4_0", 0.6)]
        {
            let dtype = DType::from_name(name).unwrap();
            let mut bytes = vec![0u8; dtype.bytes_for(values.len()).unwrap()];
            let mut back = vec![0.0; values.len()];
            encode(dtype, &values, &mut bytes).unwrap();
            decode(dtype, &bytes, &mut back).unwrap();
            let off = values.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= most, "{name}: {off}");
        }
    }

    #[test]
    fn lengths_and_dtypes_that_do_not_fit_are_refused() {
        assert!(decode(DType::F32, &[0; 8], &mut [0.0; 3]).is_err());
        assert!(decode(DType::I32, &[0; 8], &mut [0.0; 2]).is_err());
        assert!(encode(DType::from_name("iq2_s").unwrap(), &[0.0; 256], &mut [0; 82]).is_err());
    }
}
