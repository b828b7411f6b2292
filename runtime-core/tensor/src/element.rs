//! The Rust types that tensor elements are read as.

use half::{bf16, f16};

use crate::DType;
use crate::float8::{F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0};
use crate::storage::Scalar;

/// A Rust type that elements of one dtype are read as.
pub trait Element: Scalar + PartialEq + Default {
    /// The dtype.
    const DTYPE: DType;
    /// The value as a 64-bit float (exact but for large 64-bit integers).
    fn to_f64(self) -> f64;
    /// The nearest value to a 64-bit float; integers truncate toward zero and saturate.
    fn from_f64(value: f64) -> Self;
}

macro_rules! numbers {
    ($($rust:ty => $dtype:ident),* $(,)?) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
            #[expect(clippy::allow_attributes, reason = "not every type needs each cast lint")]
            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, trivial_numeric_casts, reason = "documented")]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[expect(clippy::allow_attributes, reason = "not every type needs each cast lint")]
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, trivial_numeric_casts, reason = "documented")]
            fn from_f64(value: f64) -> Self {
                value as $rust
            }
        }
    )*};
}

numbers! {
    f32 => F32, f64 => F64, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
}

macro_rules! small_floats {
    ($($rust:ty => $dtype:ident),* $(,)?) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
            fn to_f64(self) -> f64 {
                f64::from(self.to_f32())
            }
            #[expect(clippy::cast_possible_truncation, reason = "documented")]
            fn from_f64(value: f64) -> Self {
                Self::from_f32(value as f32)
            }
        }
    )*};
}

small_floats! {
    F8E4M3FN => F8E4M3FN, F8E4M3FNUZ => F8E4M3FNUZ,
    F8E5M2 => F8E5M2, F8E5M2FNUZ => F8E5M2FNUZ, F8E8M0 => F8E8M0,
}

impl Element for f16 {
    const DTYPE: DType = DType::F16;
    fn to_f64(self) -> f64 {
        self.to_f64()
    }
    fn from_f64(value: f64) -> Self {
        Self::from_f64(value)
    }
}

impl Element for bf16 {
    const DTYPE: DType = DType::BF16;
    fn to_f64(self) -> f64 {
        self.to_f64()
    }
    fn from_f64(value: f64) -> Self {
        Self::from_f64(value)
    }
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
}
