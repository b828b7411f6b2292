//! Walking the elements of strided views in row-major order.

/// Row-major strides, in elements.
#[must_use]
pub fn contiguous_strides(dims: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; dims.len()];
    let mut step = 1isize;
    for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
        *stride = step;
        step = step.saturating_mul(dim.max(1).cast_signed());
    }
    strides
}

/// The element offsets of a strided view, in row-major order.
#[derive(Debug, Clone)]
pub struct Offsets {
    dims: Vec<usize>,
    strides: Vec<isize>,
    position: Vec<usize>,
    offset: isize,
    left: usize,
}

impl Offsets {
    /// The offsets of a view that starts at `start`.
    #[must_use]
    pub fn new(dims: &[usize], strides: &[isize], start: usize) -> Self {
        Self {
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            position: vec![0; dims.len()],
            offset: start.cast_signed(),
            left: dims.iter().product(),
        }
    }
}

impl Iterator for Offsets {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let current = self.offset.cast_unsigned();
        for axis in (0..self.dims.len()).rev() {
            self.position[axis] += 1;
            self.offset += self.strides[axis];
            if self.position[axis] < self.dims[axis] {
                break;
            }
            self.offset -= self.strides[axis] * self.dims[axis].cast_signed();
            self.position[axis] = 0;
        }
        Some(current)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Offsets {}

/// The dimensions that `a` and `b` broadcast to by NumPy's rule, or `None`.
#[must_use]
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let from_end =
        |dims: &[usize], back: usize| dims.len().checked_sub(back).map_or(1, |at| dims[at]);
    (1..=rank)
        .rev()
        .map(|back| match (from_end(a, back), from_end(b, back)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Offsets, broadcast, contiguous_strides};

    #[test]
    fn offsets_follow_the_strides() {
        let transposed: Vec<_> = Offsets::new(&[3, 2], &[1, 3], 0).collect();
        assert_eq!(transposed, [0, 3, 1, 4, 2, 5]);
        assert_eq!(Offsets::new(&[2, 0], &[1, 1], 0).count(), 0);
        assert_eq!(Offsets::new(&[], &[], 5).collect::<Vec<_>>(), [5]);
        assert_eq!(contiguous_strides(&[2, 3, 4]), [12, 4, 1]);
    }

    #[test]
    fn broadcasting_is_numpys() {
        assert_eq!(broadcast(&[3, 1], &[2]), Some(vec![3, 2]));
        assert_eq!(broadcast(&[3], &[2]), None);
        assert_eq!(broadcast(&[0, 1], &[1, 5]), Some(vec![0, 5]));
    }
}
