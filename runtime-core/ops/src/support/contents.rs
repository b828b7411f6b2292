//! Whole numbers that shape computations pass on, followed through arithmetic.
//!
//! Exporters compute shapes with ordinary operators. Their shape rules follow the elements of small
//! `i32` and `i64` tensors (and of truth values made from them) as symbolic numbers, so that a
//! `Reshape` behind them has a known type. An element that does not follow is unknown, never wrong.

use remuda_ir::{InferCtx, Inferred, OpError, ValueType};
use remuda_tensor::{DType, Dim};

use super::elementwise::broadcast_types;

/// Output 0 as [`broadcast_types`] has it, with the elements that `f` makes of those of all inputs.
pub(crate) fn broadcast_with_content(
    ctx: &InferCtx<'_>,
    f: impl Fn(&Dim, &Dim) -> Dim,
) -> Result<Vec<Inferred>, OpError> {
    let mut inferred = broadcast_types(ctx)?;
    if let Some(first) = inferred.pop() {
        let content = fold_content(ctx, 0, f).and_then(|content| checked(&first.ty, content));
        inferred.push(first.with_content(content));
    }
    Ok(inferred)
}

/// As [`broadcast_with_content`], for a comparison: `f` answers where the answer follows.
pub(crate) fn compare_with_content(
    ctx: &InferCtx<'_>,
    f: impl Fn(&Dim, &Dim) -> Option<bool>,
) -> Result<Vec<Inferred>, OpError> {
    let dims = super::elementwise::broadcast_dims(ctx, 0..ctx.input_count())?;
    let answer = |a: &Dim, b: &Dim| f(a, b).map_or(Dim::Unknown, |yes| Dim::Known(yes.into()));
    let content = fold_content(ctx, 0, answer);
    Ok(vec![Inferred::maybe(DType::Bool, dims).with_content(content)])
}

/// The elements of all inputs from `first` on, combined one after the other; `None` unless all are
/// known whole numbers of at most one dimension that broadcast.
pub(crate) fn fold_content(
    ctx: &InferCtx<'_>,
    first: usize,
    f: impl Fn(&Dim, &Dim) -> Dim,
) -> Option<Vec<Dim>> {
    let mut folded = flat_content(ctx, first)?;
    for at in first + 1..ctx.input_count() {
        let next = flat_content(ctx, at)?;
        let length = joint_length(folded.len(), next.len())?;
        let pick = |list: &[Dim], i: usize| list[if list.len() == 1 { 0 } else { i }].clone();
        folded = (0..length).map(|i| f(&pick(&folded, i), &pick(&next, i))).collect();
    }
    Some(folded)
}

/// The elements of an input of at most one dimension that holds whole numbers or truth values.
pub(crate) fn flat_content(ctx: &InferCtx<'_>, at: usize) -> Option<Vec<Dim>> {
    let ty = ctx.input(at)?.ty.as_tensor()?;
    let fits = matches!(ty.dtype, DType::I32 | DType::I64 | DType::Bool)
        && ty.dims.as_ref().is_some_and(|dims| dims.len() <= 1);
    fits.then(|| ctx.content(at))?
}

/// The elements of an input that holds whole numbers or truth values, however it is shaped.
pub(crate) fn any_content(ctx: &InferCtx<'_>, at: usize) -> Option<Vec<Dim>> {
    let ty = ctx.input(at)?.ty.as_tensor()?;
    matches!(ty.dtype, DType::I32 | DType::I64 | DType::Bool).then(|| ctx.content(at))?
}

/// The length that two lists broadcast to.
pub(crate) fn joint_length(a: usize, b: usize) -> Option<usize> {
    match (a, b) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    }
}

/// The content, unless a number does not fit the dtype of its tensor.
pub(crate) fn checked(ty: &ValueType, content: Vec<Dim>) -> Option<Vec<Dim>> {
    let fits = |value: i64| match ty.as_tensor().map(|tensor| tensor.dtype) {
        Some(DType::I64) => true,
        Some(DType::I32) => i32::try_from(value).is_ok(),
        Some(DType::Bool) => (0..=1).contains(&value),
        _ => false,
    };
    content.iter().all(|dim| dim.as_i64().is_none_or(fits)).then_some(content)
}

/// Whether `a < b`, where that follows.
pub(crate) fn is_less(a: &Dim, b: &Dim) -> Option<bool> {
    if b.sub(a).sub(&Dim::Known(1)).is_never_negative() {
        Some(true)
    } else {
        a.sub(b).is_never_negative().then_some(false)
    }
}

/// Whether `a == b`, where that follows.
pub(crate) fn is_equal(a: &Dim, b: &Dim) -> Option<bool> {
    if a.same(b) {
        return Some(true);
    }
    let apart = a.differs(b) || is_less(a, b) == Some(true) || is_less(b, a) == Some(true);
    apart.then_some(false)
}

/// The quotient rounded toward zero, where that follows.
pub(crate) fn truncated_quotient(a: &Dim, b: &Dim) -> Dim {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.checked_div(b).map_or(Dim::Unknown, Dim::Known),
        _ if a.is_never_negative() && b.is_never_negative() => a.floor_div(b),
        _ => Dim::Unknown,
    }
}
