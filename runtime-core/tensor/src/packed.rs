//! Elements of 2, 4 and 6 bits: one behind the other, the first in the lowest bits, as ONNX packs them.

use crate::float8::Layout;
use crate::{DType, float8};

/// The integer value of each of `count` packed elements. Empty for a dtype that is not packed; floats
/// give their bits.
#[must_use]
pub fn unpack(dtype: DType, bytes: &[u8], count: usize) -> Vec<i8> {
    let bits = dtype.bits();
    if !dtype.is_packed() {
        return Vec::new();
    }
    let mask = u8::MAX >> (8 - bits);
    let sign = if dtype.is_signed_int() { 1u8 << (bits - 1) } else { 0 };
    (0..count)
        .map(|at| {
            let (byte, shift) = (at * bits / 8, at * bits % 8);
            let mut raw = bytes[byte] >> shift;
            if shift + bits > 8 {
                raw |= bytes[byte + 1] << (8 - shift);
            }
            let raw = raw & mask;
            // Two's complement of `bits` bits: flip the sign bit, subtract its weight.
            (raw ^ sign).cast_signed().wrapping_sub(sign.cast_signed())
        })
        .collect()
}

/// Packs the low bits of each value.
#[must_use]
pub fn pack(dtype: DType, values: &[i8]) -> Vec<u8> {
    let bits = dtype.bits();
    let mut bytes = vec![0u8; (values.len() * bits).div_ceil(8)];
    if dtype.is_packed() {
        let mask = u8::MAX >> (8 - bits);
        for (at, value) in values.iter().enumerate() {
            let (byte, shift) = (at * bits / 8, at * bits % 8);
            let raw = value.cast_unsigned() & mask;
            bytes[byte] |= raw << shift;
            if shift + bits > 8 {
                bytes[byte + 1] |= raw >> (8 - shift);
            }
        }
    }
    bytes
}

/// How the bits of a packed float are laid out; none for integers.
#[must_use]
pub fn layout(dtype: DType) -> Option<Layout> {
    match dtype {
        DType::F6E2M3 => Some(float8::E2M3),
        DType::F6E3M2 => Some(float8::E3M2),
        DType::F4E2M1 => Some(float8::E2M1),
        _ => None,
    }
}

/// The value of each packed element as a float: integers as they are, floats decoded.
#[must_use]
pub fn unpack_f32(dtype: DType, bytes: &[u8], count: usize) -> Vec<f32> {
    let values = unpack(dtype, bytes, count);
    if let Some(layout) = layout(dtype) {
        return values.iter().map(|&bits| layout.decode(bits.cast_unsigned())).collect();
    }
    values.into_iter().map(f32::from).collect()
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack, unpack_f32};
    use crate::DType;

    #[test]
    fn packing_and_unpacking_lose_nothing() {
        let signed = [-8, 7, -1, 0, 3];
        assert_eq!(unpack(DType::I4, &pack(DType::I4, &signed), 5), signed);
        let unsigned = [0, 15, 8];
        assert_eq!(unpack(DType::U4, &pack(DType::U4, &unsigned), 3), unsigned);
        let two = [-2, 1, 0, -1, 1];
        assert_eq!(unpack(DType::I2, &pack(DType::I2, &two), 5), two);
    }

    #[test]
    fn four_bit_floats_are_decoded() {
        assert_eq!(unpack_f32(DType::F4E2M1, &[0xf1], 2), [0.5, -6.0]);
    }

    /// The bytes are those of `onnx.numpy_helper.from_array`.
    #[test]
    fn six_bits_go_across_bytes() {
        let bytes = [0x00, 0x81, 0xfc, 0x14];
        assert_eq!(unpack_f32(DType::F6E2M3, &bytes, 5), [0.0, 0.5, 1.0, -7.5, 3.0]);
        let codes = unpack(DType::F6E3M2, &bytes, 5);
        assert_eq!(codes, [0, 4, 8, 63, 20]);
        assert_eq!(pack(DType::F6E3M2, &codes), bytes);
    }
}
