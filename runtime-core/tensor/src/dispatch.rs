//! From a dtype known at run time to a Rust type known at compile time.
//!
//! `dispatch_numeric!(dtype, T => body, else other)` runs `body` with `T` bound to the element type,
//! or `other` for a dtype outside the family.

/// Binds `T` to the type of any whole-byte number: floats of 16 bits and more, and integers.
#[macro_export]
macro_rules! dispatch_numeric {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        $crate::dispatch_types!($dtype, $T => $body, else $other,
            F32 f32, F64 f64, F16 $crate::f16, BF16 $crate::bf16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
}

/// Binds `T` to the type of any whole-byte number or boolean.
#[macro_export]
macro_rules! dispatch_numeric_or_bool {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        $crate::dispatch_types!($dtype, $T => $body, else $other,
            F32 f32, F64 f64, F16 $crate::f16, BF16 $crate::bf16, Bool bool,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
}

/// Binds `T` to the type of any float of 16 bits and more.
#[macro_export]
macro_rules! dispatch_float {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        $crate::dispatch_types!($dtype, $T => $body, else $other,
            F32 f32, F64 f64, F16 $crate::f16, BF16 $crate::bf16)
    };
}

/// Binds `T` to the type of any whole-byte integer.
#[macro_export]
macro_rules! dispatch_int {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        $crate::dispatch_types!($dtype, $T => $body, else $other,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
}

/// The match that the families above share.
#[doc(hidden)]
#[macro_export]
macro_rules! dispatch_types {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr, $($variant:ident $rust:ty),*) => {
        match $dtype {
            $($crate::DType::$variant => {
                type $T = $rust;
                $body
            })*
            _ => $other,
        }
    };
}
