//! `TypeProto` and the element types.

use remuda_ir::ValueType;
use remuda_tensor::{DType, Dim, TensorType, parse_dim};

use crate::error::{ImportError, Result};
use crate::wire::Message;

/// Sequences of optionals of sequences, deeper than anybody writes them.
const MAX_DEPTH: usize = 8;

/// What a symbolic dimension takes, roughly.
const SYMBOL_BYTES: usize = 512;

/// The dtype of an ONNX element type number.
pub(crate) fn dtype(number: i32) -> Result<DType> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        8 => DType::String,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        14 => DType::C64,
        15 => DType::C128,
        16 => DType::BF16,
        17 => DType::F8E4M3FN,
        18 => DType::F8E4M3FNUZ,
        19 => DType::F8E5M2,
        20 => DType::F8E5M2FNUZ,
        21 => DType::U4,
        22 => DType::I4,
        23 => DType::F4E2M1,
        24 => DType::F8E8M0,
        25 => DType::U2,
        26 => DType::I2,
        27 => DType::F6E2M3,
        28 => DType::F6E3M2,
        0 => return Err(ImportError::invalid("the element type is undefined")),
        other => return Err(ImportError::unsupported(format!("unknown element type {other}"))),
    })
}

/// The type that a `TypeProto` says; `None` if it says nothing.
pub(crate) fn value_type(message: Message<'_>) -> Result<Option<ValueType>> {
    nested(message, 0)
}

fn nested(message: Message<'_>, depth: usize) -> Result<Option<ValueType>> {
    if depth > MAX_DEPTH {
        return Err(ImportError::unsupported(format!("types nest deeper than {MAX_DEPTH}")));
    }
    let mut ty = None;
    for field in message.fields() {
        let field = field?;
        ty = match field.number {
            1 => tensor_type(field.message("TypeProto.Tensor")?)?.map(ValueType::Tensor),
            4 => element(field.message("TypeProto.Sequence")?, depth)?
                .map(|item| ValueType::Sequence(item.into())),
            9 => element(field.message("TypeProto.Optional")?, depth)?
                .map(|item| ValueType::Optional(item.into())),
            5 => return Err(ImportError::unsupported("map types")),
            7 => return Err(ImportError::unsupported("opaque types")),
            8 => return Err(ImportError::unsupported("sparse tensor types")),
            _ => continue,
        };
    }
    Ok(ty)
}

fn element(message: Message<'_>, depth: usize) -> Result<Option<ValueType>> {
    let mut item = None;
    for field in message.fields() {
        let field = field?;
        if field.number == 1 {
            item = nested(field.message("TypeProto")?, depth.saturating_add(1))?;
        }
    }
    Ok(item)
}

fn tensor_type(message: Message<'_>) -> Result<Option<TensorType>> {
    let (mut element, mut dims) = (0, None);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => element = field.int32()?,
            2 => dims = Some(shape(field.message("TensorShapeProto")?)?),
            _ => {}
        }
    }
    // Some exporters declare outputs of a type they do not know.
    if element == 0 {
        return Ok(None);
    }
    Ok(Some(TensorType { dtype: dtype(element)?, dims }))
}

fn shape(message: Message<'_>) -> Result<Vec<Dim>> {
    let mut dims = Vec::new();
    for field in message.fields() {
        let field = field?;
        if field.number == 1 {
            let dim = dimension(field.message("TensorShapeProto.Dimension")?)?;
            message.budget.push(&mut dims, dim)?;
        }
    }
    Ok(dims)
}

fn dimension(message: Message<'_>) -> Result<Dim> {
    let mut dim = Dim::Unknown;
    for field in message.fields() {
        let field = field?;
        dim = match field.number {
            // Negative numbers stand for "not known" in files of several exporters.
            1 => Some(field.int()?).filter(|size| *size >= 0).map_or(Dim::Unknown, Dim::Known),
            2 => {
                message.budget.charge(SYMBOL_BYTES)?;
                symbol(field.text()?)
            }
            _ => continue,
        };
    }
    Ok(dim)
}

/// Exporters write sums and products of symbols as they are printed; whatever is no such expression
/// is a symbol as it stands.
fn symbol(text: &str) -> Dim {
    match text {
        "" => Dim::Unknown,
        _ => match parse_dim(text) {
            Ok(Dim::Known(size)) if size < 0 => Dim::Unknown,
            Ok(dim) => dim,
            Err(_) => Dim::symbol(text),
        },
    }
}
