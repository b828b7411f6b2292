//! Rows picked by index along an axis.

use super::COPY;
use crate::Context;

/// An index that names no element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an index in `{}..{size}`, got {index}", -(*size as i128))]
pub struct GatherError {
    /// The index.
    pub index: i64,
    /// The size of the axis.
    pub size: usize,
}

/// Picks `indices`, negative ones counting from the end, along an axis of `size` of an array whose
/// elements beyond that axis number `inner`.
///
/// # Errors
/// When an index is outside the axis.
///
/// # Panics
/// When a slice does not fit the others.
pub fn gather<T: Copy + Send + Sync>(
    cx: Context<'_>,
    src: &[T],
    (size, inner): (usize, usize),
    indices: &[i64],
    out: &mut [T],
) -> Result<(), GatherError> {
    let row = |&index: &i64| {
        let at = if index < 0 { i128::from(index) + size as i128 } else { i128::from(index) };
        usize::try_from(at).ok().filter(|&at| at < size).ok_or(GatherError { index, size })
    };
    let rows = indices.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let outer = src.len() / (size * inner).max(1);
    assert_eq!(out.len(), outer * rows.len() * inner, "a row per index");
    cx.pieces(out, inner, COPY, |first, out| {
        for (at, out) in out.chunks_exact_mut(inner).enumerate() {
            let (slab, index) = ((first + at) / rows.len(), (first + at) % rows.len());
            out.copy_from_slice(&src[(slab * size + rows[index]) * inner..][..inner]);
        }
    });
    Ok(())
}
