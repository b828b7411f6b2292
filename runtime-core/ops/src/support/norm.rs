//! Norms of lists of numbers.

use remuda_ir::{Attr, Attrs, Draft, OpError};

/// The attribute `p`.
pub(crate) fn norm_order(attrs: &Attrs) -> Result<f64, OpError> {
    let p = attrs.int_or("p", 2)?;
    if p > 0 {
        return Ok(p as f64);
    }
    Err(OpError::Invalid(format!("`p` expected a positive integer, got {p}")))
}

/// The p-norm.
pub(crate) fn p_norm(values: impl Iterator<Item = f64>, p: f64) -> f64 {
    if p == 1.0 {
        return values.map(f64::abs).sum();
    }
    if p == 2.0 {
        return values.map(|value| value * value).sum::<f64>().sqrt();
    }
    values.map(|value| value.abs().powf(p)).sum::<f64>().powf(1.0 / p)
}

/// In opset 1 the order of the norm was a float.
pub(crate) fn upgrade_float_p(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let Some(Attr::Float(p)) = draft.node.attrs.0.get("p").cloned() else { return Ok(()) };
    if p.fract() != 0.0 {
        return Err(OpError::Unsupported(format!("attribute `p` of {p}, which is no integer")));
    }
    draft.node.attrs.set("p", Attr::Int(p as i64));
    Ok(())
}
