//! Axes as attributes and inputs name them.

use crate::OpError;

/// The axis that a number means: one below zero counts from behind the last.
///
/// # Errors
/// When a tensor of this rank has no such axis.
pub fn resolve_axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let shifted = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    shifted.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank).ok_or_else(
        || OpError::Invalid(format!("axis {axis} is outside a tensor of {rank} dimensions")),
    )
}

#[cfg(test)]
mod tests {
    use super::resolve_axis;

    #[test]
    fn negative_axes_count_from_behind() {
        let resolved = |axis| resolve_axis(axis, 3).ok();
        assert_eq!([-3, -1, 0, 2].map(resolved), [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!([-4, 3, i64::MIN, i64::MAX].map(resolved), [None; 4]);
        assert!(resolve_axis(0, 0).is_err());
    }
}
