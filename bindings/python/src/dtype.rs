//! Each element type under the names that Python's libraries give it.

use remuda::DType;

/// An element type: its names elsewhere.
pub(crate) struct Names {
    /// The type itself.
    pub(crate) dtype: DType,
    /// Between the brackets of ONNX Runtime's `tensor(…)`.
    pub(crate) onnx: &'static str,
    /// What numpy, or `ml_dtypes`, calls it.
    pub(crate) numpy: &'static str,
    /// The array-interface code of its memory; of an integer as wide where numpy alone has no such type.
    pub(crate) interface: &'static str,
    /// DLPack's type code.
    pub(crate) dlpack: u8,
}

const fn names(
    dtype: DType,
    onnx: &'static str,
    numpy: &'static str,
    interface: &'static str,
    dlpack: u8,
) -> Names {
    Names { dtype, onnx, numpy, interface, dlpack }
}

const INT: u8 = 0;
const UINT: u8 = 1;
const FLOAT: u8 = 2;

/// Texts and block formats aside, every element type.
const TABLE: &[Names] = &[
    names(DType::F32, "float", "float32", "<f4", FLOAT),
    names(DType::F64, "double", "float64", "<f8", FLOAT),
    names(DType::F16, "float16", "float16", "<f2", FLOAT),
    names(DType::BF16, "bfloat16", "bfloat16", "<u2", 4),
    names(DType::F8E4M3FN, "float8e4m3fn", "float8_e4m3fn", "|u1", 10),
    names(DType::F8E4M3FNUZ, "float8e4m3fnuz", "float8_e4m3fnuz", "|u1", 11),
    names(DType::F8E5M2, "float8e5m2", "float8_e5m2", "|u1", 12),
    names(DType::F8E5M2FNUZ, "float8e5m2fnuz", "float8_e5m2fnuz", "|u1", 13),
    names(DType::F8E8M0, "float8e8m0", "float8_e8m0fnu", "|u1", 14),
    names(DType::F6E2M3, "float6e2m3", "float6_e2m3fn", "|u1", 15),
    names(DType::F6E3M2, "float6e3m2", "float6_e3m2fn", "|u1", 16),
    names(DType::F4E2M1, "float4e2m1", "float4_e2m1fn", "|u1", 17),
    names(DType::I8, "int8", "int8", "|i1", INT),
    names(DType::I16, "int16", "int16", "<i2", INT),
    names(DType::I32, "int32", "int32", "<i4", INT),
    names(DType::I64, "int64", "int64", "<i8", INT),
    names(DType::U8, "uint8", "uint8", "|u1", UINT),
    names(DType::U16, "uint16", "uint16", "<u2", UINT),
    names(DType::U32, "uint32", "uint32", "<u4", UINT),
    names(DType::U64, "uint64", "uint64", "<u8", UINT),
    names(DType::I4, "int4", "int4", "|i1", INT),
    names(DType::U4, "uint4", "uint4", "|u1", UINT),
    names(DType::I2, "int2", "int2", "|i1", INT),
    names(DType::U2, "uint2", "uint2", "|u1", UINT),
    names(DType::Bool, "bool", "bool", "|b1", 6),
    names(DType::C64, "complex64", "complex64", "<c8", 5),
    names(DType::C128, "complex128", "complex128", "<c16", 5),
];

/// The names of this type; `None` for texts and block formats.
pub(crate) fn names_of(dtype: DType) -> Option<&'static Names> {
    TABLE.iter().find(|names| names.dtype == dtype)
}

/// The type that numpy or `ml_dtypes` calls so.
pub(crate) fn from_numpy(name: &str) -> Option<DType> {
    TABLE.iter().find(|names| names.numpy == name).map(|names| names.dtype)
}

/// The type of numpy's own that has this array-interface code.
pub(crate) fn from_interface(code: &str) -> Option<DType> {
    let found = |names: &&Names| names.interface == code && !names.is_beyond_numpy();
    TABLE.iter().find(found).map(|names| names.dtype)
}

/// The type of this DLPack code and width.
pub(crate) fn from_dlpack(code: u8, bits: u8) -> Option<DType> {
    let found = |names: &&Names| names.dlpack == code && names.dtype.bits() == usize::from(bits);
    TABLE.iter().find(found).map(|names| names.dtype)
}

/// What stands between the brackets of ONNX Runtime's `tensor(…)`.
pub(crate) fn onnx_name(dtype: DType) -> &'static str {
    match dtype {
        DType::String => "string",
        _ => names_of(dtype).map_or(dtype.name(), |names| names.onnx),
    }
}

impl Names {
    /// Whether numpy needs `ml_dtypes` for it.
    pub(crate) fn is_beyond_numpy(&self) -> bool {
        let code = self.interface.as_bytes().get(1);
        let is_integer_code = matches!(code, Some(b'u' | b'i'));
        is_integer_code && (self.dtype.is_packed() || self.dtype.is_float())
    }
}
