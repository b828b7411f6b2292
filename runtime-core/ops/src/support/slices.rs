//! Python's slices: which places `start..end` by `step` names on an axis.

/// The places on an axis of `size`; both ends clamp, negative ones count from the end.
pub(crate) fn slice_places(size: usize, start: i64, end: i64, step: i64) -> Option<(usize, usize)> {
    let size = i128::try_from(size).ok()?;
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
    let wrap = |at: i128| if at < 0 { at + size } else { at };
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let start = wrap(start).clamp(low.max(0), high.max(0));
    let end = if end < -size && step < 0 { -1 } else { wrap(end).clamp(low, high) };
    let count = match step {
        0 => return None,
        step if step > 0 => (end - start + step - 1).div_euclid(step),
        step => (start - end - step - 1).div_euclid(-step),
    };
    let count = if size == 0 { 0 } else { count.max(0) };
    Some((usize::try_from(start).ok()?, usize::try_from(count).ok()?))
}

#[cfg(test)]
mod tests {
    use super::slice_places;

    #[test]
    fn slices_are_pythons() {
        assert_eq!(slice_places(5, 0, 5, 1), Some((0, 5)));
        assert_eq!(slice_places(5, 1, -1, 2), Some((1, 2)));
        assert_eq!(slice_places(5, -1, i64::MIN, -1), Some((4, 5)));
        assert_eq!(slice_places(5, 10, 0, -2), Some((4, 2)));
        assert_eq!(slice_places(5, 3, 1, 1), Some((3, 0)));
        assert_eq!(slice_places(0, 0, i64::MAX, 1), Some((0, 0)));
        assert_eq!(slice_places(0, 0, 0, -1), Some((0, 0)));
        assert_eq!(slice_places(3, 0, 1, 0), None);
    }
}
