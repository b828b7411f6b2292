//! How results are compared with what is expected.

use remuda_ir::{Tolerance, Val};
use remuda_tensor::{DType, Tensor};

/// Absolute and relative bounds for a dtype: what rounding in another order may cost.
fn bounds(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F64 => (1e-12, 1e-10),
        DType::F16 => (1e-3, 2e-3),
        DType::BF16 => (1e-2, 1e-2),
        _ if dtype.is_small_float() => (0.13, 0.13),
        _ => (1e-6, 1e-5),
    }
}

/// Compares a result with what is expected.
///
/// # Errors
/// The first difference, in words.
pub fn compare(tolerance: Tolerance, got: &Val, want: &Val) -> Result<(), String> {
    match (got, want) {
        (Val::Tensor(got), Val::Tensor(want)) => compare_tensors(tolerance, got, want),
        (Val::Sequence(got), Val::Sequence(want)) if got.len() == want.len() => {
            got.iter().zip(want.iter()).try_for_each(|(got, want)| compare(tolerance, got, want))
        }
        (Val::Optional(None), Val::Optional(None)) => Ok(()),
        (Val::Optional(Some(got)), Val::Optional(Some(want))) => compare(tolerance, got, want),
        _ => Err(format!("expected {want:?}, got {got:?}")),
    }
}

fn compare_tensors(tolerance: Tolerance, got: &Tensor, want: &Tensor) -> Result<(), String> {
    if got.dtype() != want.dtype() || got.dims() != want.dims() {
        return Err(format!(
            "expected {}{:?}, got {}{:?}",
            want.dtype(),
            want.dims(),
            got.dtype(),
            got.dims()
        ));
    }
    let scale = match tolerance {
        Tolerance::Shape => return Ok(()),
        Tolerance::Exact => 0.0,
        Tolerance::Float(scale) | Tolerance::OneStep(scale) => f64::from(scale),
    };
    let (Ok(got_values), Ok(want_values)) = (got.to_f64_vec(), want.to_f64_vec()) else {
        return if got.same_bits(want) {
            Ok(())
        } else {
            Err(format!("expected {want:?}, got {got:?}"))
        };
    };
    let (atol, rtol) = if got.dtype().is_float() {
        bounds(got.dtype())
    } else if matches!(tolerance, Tolerance::OneStep(_)) {
        (1.0 / scale.max(f64::MIN_POSITIVE), 0.0)
    } else {
        (0.0, 0.0)
    };
    let close = |got: f64, want: f64| {
        got == want
            || (got.is_nan() && want.is_nan())
            || (got - want).abs() <= scale * (atol + rtol * want.abs())
    };
    let at = got_values.iter().zip(&want_values).position(|(&got, &want)| !close(got, want));
    at.map_or(Ok(()), |at| {
        Err(format!(
            "element {at} expected {}, got {} (in {got:?})",
            want_values[at], got_values[at]
        ))
    })
}
