//! Compares values as ONNX's backend suite does: relative 1e-3 (2^-6 for `bf16`), absolute 1e-7, NaN
//! equals NaN.

use remuda_ir::Val;
use remuda_tensor::{DType, Tensor};

/// Compares a result with what is expected.
///
/// # Errors
/// The first difference, in words.
pub(crate) fn compare(got: &Val, wanted: &Val) -> Result<(), String> {
    match (got, wanted) {
        (Val::Tensor(got), Val::Tensor(wanted)) => tensors(got, wanted),
        (Val::Sequence(got), Val::Sequence(wanted)) if got.len() == wanted.len() => {
            got.iter().zip(wanted.iter()).try_for_each(|(got, wanted)| compare(got, wanted))
        }
        (Val::Optional(Some(got)), Val::Optional(Some(wanted))) => compare(got, wanted),
        (Val::Optional(None), Val::Optional(None)) => Ok(()),
        _ => Err(format!("expected {wanted:?}, got {got:?}")),
    }
}

fn tensors(got: &Tensor, wanted: &Tensor) -> Result<(), String> {
    if (got.dtype(), got.dims()) != (wanted.dtype(), wanted.dims()) {
        let ty = |tensor: &Tensor| format!("{}{:?}", tensor.dtype(), tensor.dims());
        return Err(format!("expected {}, got {}", ty(wanted), ty(got)));
    }
    let numbers = |tensor: &Tensor| match tensor.dtype() {
        DType::C64 | DType::C128 => complex(tensor),
        _ => tensor.to_f64_vec().ok(),
    };
    let (Some(a), Some(b)) = (numbers(got), numbers(wanted)) else {
        let same = got.same_bits(wanted);
        return if same { Ok(()) } else { Err(format!("expected {wanted:?}, got {got:?}")) };
    };
    let rtol = match got.dtype() {
        DType::BF16 => 2f64.powi(-6),
        dtype if dtype.is_int() => 0.0,
        _ => 1e-3,
    };
    let close = |a: f64, b: f64| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7 + rtol * b.abs()
    };
    match a.iter().zip(&b).position(|(&a, &b)| !close(a, b)) {
        None => Ok(()),
        Some(at) => Err(format!("element {at} expected {:?}, got {:?}", b.get(at), a.get(at))),
    }
}

fn complex(tensor: &Tensor) -> Option<Vec<f64>> {
    let bytes = tensor.to_le_bytes();
    Some(match tensor.dtype() {
        DType::C64 => {
            bytes.as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()
        }
        _ => bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
    })
}
