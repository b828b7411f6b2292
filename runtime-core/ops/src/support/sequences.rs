//! Sequences: the type of their items, and positions in them.

use remuda_ir::{InferCtx, OpError, ValueType};

/// The type of the items of an input.
pub(crate) fn item_type<'a>(ctx: &InferCtx<'a>, at: usize) -> Result<&'a ValueType, OpError> {
    match ctx.ty(at)? {
        ValueType::Sequence(item) => Ok(item),
        other => Err(OpError::Invalid(format!("input {at} expected a sequence, got `{other}`"))),
    }
}

/// The place that a possibly negative position means.
pub(crate) fn position(asked: i64, length: usize) -> Result<usize, OpError> {
    let shifted = if asked < 0 { asked.checked_add(length as i64) } else { Some(asked) };
    shifted.and_then(|at| usize::try_from(at).ok()).filter(|&at| at < length).ok_or_else(|| {
        OpError::Invalid(format!("position {asked} is outside a sequence of {length} items"))
    })
}
