//! Sets of dtypes: what an operator's input may hold.

use std::fmt;
use std::ops::BitOr;

use remuda_tensor::DType;

/// A set of dtypes. All block formats count as one member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Types(u32);

const PLAIN: [DType; 28] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::F8E4M3FN,
    DType::F8E4M3FNUZ,
    DType::F8E5M2,
    DType::F8E5M2FNUZ,
    DType::F8E8M0,
    DType::F4E2M1,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::I4,
    DType::U4,
    DType::I2,
    DType::U2,
    DType::Bool,
    DType::C64,
    DType::C128,
    DType::String,
    DType::F6E2M3,
    DType::F6E3M2,
];

impl Types {
    /// Every dtype, block formats included.
    pub const ANY: Self = Self(u32::MAX);
    /// Floats of 16 bits and more.
    pub const FLOATS: Self = Self(0b1111);
    /// Floats of 16 and 32 bits.
    pub const SHORT_FLOATS: Self =
        Self::one(DType::F32).or(Self::one(DType::F16)).or(Self::one(DType::BF16));
    /// Floats of 8 bits with a sign.
    pub const FLOAT8: Self = Self::one(DType::F8E4M3FN)
        .or(Self::one(DType::F8E4M3FNUZ))
        .or(Self::one(DType::F8E5M2))
        .or(Self::one(DType::F8E5M2FNUZ));
    /// Integers of 8 bits.
    pub const BYTES: Self = Self::one(DType::I8).or(Self::one(DType::U8));
    /// Floats of 8, 6 and 4 bits.
    pub const SMALL_FLOATS: Self = Self((0b11_1111 << 4) | Self::PACKED_FLOATS.0);
    /// Floats of 6 and 4 bits.
    pub const PACKED_FLOATS: Self =
        Self::one(DType::F4E2M1).or(Self::one(DType::F6E2M3)).or(Self::one(DType::F6E3M2));
    /// Signed integers of 8 bits and more.
    pub const SIGNED: Self = Self(0b1111 << 10);
    /// Unsigned integers of 8 bits and more.
    pub const UNSIGNED: Self = Self(0b1111 << 14);
    /// Integers of 4 and 2 bits.
    pub const SMALL_INTS: Self = Self(0b1111 << 18);
    /// Truth values.
    pub const BOOL: Self = Self(1 << 22);
    /// Complex numbers.
    pub const COMPLEX: Self = Self(0b11 << 23);
    /// Texts.
    pub const STRING: Self = Self(1 << 25);
    /// Block formats of quantised weights.
    pub const BLOCK: Self = Self(1 << 28);
    /// Integers of 8 bits and more.
    pub const INTS: Self = Self(Self::SIGNED.0 | Self::UNSIGNED.0);
    /// Floats of 16 bits and more, and integers of 8 bits and more.
    pub const NUMBERS: Self = Self(Self::FLOATS.0 | Self::INTS.0);
    /// `i32` and `i64`: what indices are.
    pub const INDEX: Self = Self(0b11 << 12);
    /// `i64`.
    pub const I64: Self = Self(1 << 13);

    /// The set of one dtype.
    #[must_use]
    pub const fn one(dtype: DType) -> Self {
        let mut at = 0;
        while at < PLAIN.len() {
            // Discriminants of fieldless variants are compared through their bit widths and names
            // elsewhere; here position is all that is needed.
            if same(PLAIN[at], dtype) {
                return Self(1 << at);
            }
            at += 1;
        }
        Self::BLOCK
    }

    /// Whether the dtype is a member.
    #[must_use]
    pub const fn contains(self, dtype: DType) -> bool {
        self.0 & Self::one(dtype).0 != 0
    }

    /// The union, usable in constants.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const fn same(a: DType, b: DType) -> bool {
    macro_rules! pairs {
        ($($name:ident),*) => {
            matches!((a, b), $((DType::$name, DType::$name))|*)
        };
    }
    pairs!(
        F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16,
        I32, I64, U8, U16, U32, U64, I4, U4, I2, U2, Bool, C64, C128, String, F6E2M3, F6E3M2
    )
}

impl BitOr for Types {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any type");
        }
        let mut names: Vec<&str> =
            PLAIN.iter().filter(|&&dtype| self.contains(dtype)).map(|dtype| dtype.name()).collect();
        if self.0 & Self::BLOCK.0 != 0 {
            names.push("block formats");
        }
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Types({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Types;
    use remuda_tensor::DType;

    #[test]
    fn families_hold_what_their_names_say() {
        for dtype in DType::plain() {
            assert_eq!(
                Types::INTS.or(Types::SMALL_INTS).contains(dtype),
                dtype.is_int(),
                "{dtype}"
            );
            assert_eq!(
                Types::FLOATS.or(Types::SMALL_FLOATS).contains(dtype),
                dtype.is_float(),
                "{dtype}"
            );
            assert!(Types::one(dtype).contains(dtype) && Types::ANY.contains(dtype));
        }
        assert_eq!(Types::INDEX.to_string(), "i32, i64");
        assert_eq!(
            Types::BOOL.or(Types::COMPLEX).or(Types::STRING).to_string(),
            "bool, c64, c128, string"
        );
    }
}
