//! The element types: ONNX's, and GGUF's block formats.
//!
//! A dtype is a closed set: adding one makes the compiler name every place that must know of it.

use std::fmt;

use crate::quant::{self, BlockFormat};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// 32-bit IEEE float.
    F32,
    /// 64-bit IEEE float.
    F64,
    /// 16-bit IEEE float.
    F16,
    /// 16-bit brain float.
    BF16,
    /// 8-bit float, 4 exponent bits, finite only.
    F8E4M3FN,
    /// 8-bit float, 4 exponent bits, finite only, no negative zero.
    F8E4M3FNUZ,
    /// 8-bit float, 5 exponent bits.
    F8E5M2,
    /// 8-bit float, 5 exponent bits, finite only, no negative zero.
    F8E5M2FNUZ,
    /// 8-bit power of two: a scale.
    F8E8M0,
    /// 6-bit float, 2 exponent bits, four in three bytes.
    F6E2M3,
    /// 6-bit float, 3 exponent bits, four in three bytes.
    F6E3M2,
    /// 4-bit float, two to a byte.
    F4E2M1,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// 4-bit signed integer, two to a byte.
    I4,
    /// 4-bit unsigned integer, two to a byte.
    U4,
    /// 2-bit signed integer, four to a byte.
    I2,
    /// 2-bit unsigned integer, four to a byte.
    U2,
    /// Truth value, one byte, 0 or 1.
    Bool,
    /// Complex number of two 32-bit floats.
    C64,
    /// Complex number of two 64-bit floats.
    C128,
    /// UTF-8 text.
    String,
    /// A block format of quantised weights.
    Block(BlockId),
}

/// A block format, by its place in [`quant::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(u8);

impl BlockId {
    /// The format of this name (`q4_0`, any case).
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::find(|format| format.name.eq_ignore_ascii_case(name))
    }

    /// The format of this GGML type number.
    #[must_use]
    pub fn by_ggml_type(ggml_type: u32) -> Option<Self> {
        Self::find(|format| format.ggml_type == ggml_type)
    }

    fn find(wanted: impl Fn(&BlockFormat) -> bool) -> Option<Self> {
        quant::ALL
            .iter()
            .position(|format| wanted(format))
            .and_then(|at| u8::try_from(at).ok())
            .map(Self)
    }

    /// The format itself.
    #[must_use]
    pub fn format(self) -> &'static BlockFormat {
        quant::ALL[usize::from(self.0)]
    }
}

/// The plain dtypes and their names in text.
const NAMES: &[(DType, &str)] = &[
    (DType::F32, "f32"),
    (DType::F64, "f64"),
    (DType::F16, "f16"),
    (DType::BF16, "bf16"),
    (DType::F8E4M3FN, "f8e4m3fn"),
    (DType::F8E4M3FNUZ, "f8e4m3fnuz"),
    (DType::F8E5M2, "f8e5m2"),
    (DType::F8E5M2FNUZ, "f8e5m2fnuz"),
    (DType::F8E8M0, "f8e8m0"),
    (DType::F6E2M3, "f6e2m3"),
    (DType::F6E3M2, "f6e3m2"),
    (DType::F4E2M1, "f4e2m1"),
    (DType::I8, "i8"),
    (DType::I16, "i16"),
    (DType::I32, "i32"),
    (DType::I64, "i64"),
    (DType::U8, "u8"),
    (DType::U16, "u16"),
    (DType::U32, "u32"),
    (DType::U64, "u64"),
    (DType::I4, "i4"),
    (DType::U4, "u4"),
    (DType::I2, "i2"),
    (DType::U2, "u2"),
    (DType::Bool, "bool"),
    (DType::C64, "c64"),
    (DType::C128, "c128"),
    (DType::String, "string"),
];

impl DType {
    /// Every dtype that is not a block format.
    pub fn plain() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|&(dtype, _)| dtype)
    }

    /// The name in text: `f32`, `i64`, `q4_0`.
    #[must_use]
    pub fn name(self) -> &'static str {
        if let Self::Block(block) = self {
            return block.format().name;
        }
        NAMES.iter().find(|&&(dtype, _)| dtype == self).map_or("?", |&(_, name)| name)
    }

    /// The dtype of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|&&(_, known)| known == name)
            .map(|&(dtype, _)| dtype)
            .or_else(|| BlockId::by_name(name).map(Self::Block))
    }

    /// Bits of one element; 0 for strings and for block formats, whose unit is the block.
    #[must_use]
    pub fn bits(self) -> usize {
        match self {
            Self::C128 => 128,
            Self::F64 | Self::I64 | Self::U64 | Self::C64 => 64,
            Self::F32 | Self::I32 | Self::U32 => 32,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 16,
            Self::F8E4M3FN
            | Self::F8E4M3FNUZ
            | Self::F8E5M2
            | Self::F8E5M2FNUZ
            | Self::F8E8M0
            | Self::I8
            | Self::U8
            | Self::Bool => 8,
            Self::F6E2M3 | Self::F6E3M2 => 6,
            Self::F4E2M1 | Self::I4 | Self::U4 => 4,
            Self::I2 | Self::U2 => 2,
            Self::String | Self::Block(_) => 0,
        }
    }

    /// Bytes of one element, if an element is a whole number of bytes.
    #[must_use]
    pub fn element_bytes(self) -> Option<usize> {
        match self.bits() {
            0 | 2 | 4 | 6 => None,
            bits => Some(bits / 8),
        }
    }

    /// Bytes that `count` elements take; `None` if that overflows, for strings, and for a count that
    /// is no whole number of blocks.
    #[must_use]
    pub fn bytes_for(self, count: usize) -> Option<usize> {
        match self {
            Self::String => None,
            Self::Block(block) => {
                let format = block.format();
                let whole = count.is_multiple_of(format.elements);
                whole.then(|| (count / format.elements).checked_mul(format.bytes)).flatten()
            }
            _ => count.checked_mul(self.bits()).map(|bits| bits.div_ceil(8)),
        }
    }

    /// Whether elements are real floating-point numbers of any width.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::BF16) || self.is_small_float()
    }

    /// Whether elements are floats of 8, 6 or 4 bits.
    #[must_use]
    pub fn is_small_float(self) -> bool {
        matches!(
            self,
            Self::F8E4M3FN
                | Self::F8E4M3FNUZ
                | Self::F8E5M2
                | Self::F8E5M2FNUZ
                | Self::F8E8M0
                | Self::F6E2M3
                | Self::F6E3M2
                | Self::F4E2M1
        )
    }

    /// Whether elements are integers (not booleans).
    #[must_use]
    pub fn is_int(self) -> bool {
        self.is_signed_int() || self.is_unsigned_int()
    }

    /// Whether elements are signed integers.
    #[must_use]
    pub fn is_signed_int(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64 | Self::I4 | Self::I2)
    }

    /// Whether elements are unsigned integers.
    #[must_use]
    pub fn is_unsigned_int(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32 | Self::U64 | Self::U4 | Self::U2)
    }

    /// Whether several elements share a byte.
    #[must_use]
    pub fn is_packed(self) -> bool {
        matches!(self.bits(), 2 | 4 | 6)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn every_name_finds_its_dtype() {
        for dtype in DType::plain() {
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
        }
    }

    #[test]
    fn packed_elements_round_up_to_bytes_and_overflow_is_none() {
        assert_eq!(DType::I4.bytes_for(3), Some(2));
        assert_eq!(DType::F6E2M3.bytes_for(5), Some(4));
        assert_eq!(DType::F64.bytes_for(usize::MAX), None);
    }
}
