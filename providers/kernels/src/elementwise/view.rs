//! Operands of elementwise work: slices with a shape, broadcast to the shape of the output.
//!
//! Axes that every operand walks alike are merged first, so that nearly every real broadcast becomes
//! one or two axes: a long inner run in which an operand is a slice or a single value.

/// A slice seen as an array.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    data: &'a [T],
    shape: &'a [usize],
    strides: Option<&'a [usize]>,
}

impl<'a, T> View<'a, T> {
    /// `data` as an array of `shape`, the last axis innermost.
    ///
    /// # Panics
    /// When the number of elements is not that of the shape.
    #[must_use]
    pub fn new(data: &'a [T], shape: &'a [usize]) -> Self {
        let count: usize = shape.iter().product();
        assert_eq!(data.len(), count, "elements of shape {shape:?}");
        Self { data, shape, strides: None }
    }

    /// An array of `shape` whose neighbours on an axis lie `strides` elements apart.
    ///
    /// # Panics
    /// When the array reaches past `data`.
    #[must_use]
    pub fn strided(data: &'a [T], shape: &'a [usize], strides: &'a [usize]) -> Self {
        assert_eq!(shape.len(), strides.len(), "a stride per axis");
        if !shape.contains(&0) {
            let last: usize = shape.iter().zip(strides).map(|(&n, &stride)| (n - 1) * stride).sum();
            assert!(last < data.len(), "expected more than {last} elements, got {}", data.len());
        }
        Self { data, shape, strides: Some(strides) }
    }

    /// The stride per axis of `out`, zero where this is broadcast.
    fn broadcast(&self, out: &[usize]) -> Vec<usize> {
        let missing = out.len().checked_sub(self.shape.len());
        let missing = missing.unwrap_or_else(|| panic_rank(self.shape, out));
        let mut strides = vec![0; out.len()];
        let mut natural = 1;
        for axis in (0..self.shape.len()).rev() {
            let size = self.shape[axis];
            assert!(
                size == out[axis + missing] || size == 1,
                "expected a shape that broadcasts to {out:?}, got {:?}",
                self.shape
            );
            if size != 1 {
                strides[axis + missing] = self.strides.map_or(natural, |strides| strides[axis]);
            }
            natural *= size;
        }
        strides
    }
}

#[expect(clippy::panic, reason = "shapes were checked by whoever planned the call")]
fn panic_rank(shape: &[usize], out: &[usize]) -> ! {
    panic!("expected a shape that broadcasts to {out:?}, got {shape:?}")
}

/// Operands walked together in the order of the output, axes merged.
#[derive(Debug)]
pub(crate) struct Walk<'a, T> {
    sizes: Vec<usize>,
    operands: Vec<Operand<'a, T>>,
}

#[derive(Debug)]
struct Operand<'a, T> {
    data: &'a [T],
    strides: Vec<usize>,
    whole: bool,
}

/// What an operand is within one block of the output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run<'a, T> {
    /// One value per element.
    Slice(&'a [T]),
    /// The same value for all.
    Same(T),
}

/// Shorter inner runs are gathered into a buffer instead of being walked one by one.
const SHORT: usize = 96;

impl<'a, T: Copy> Walk<'a, T> {
    pub(crate) fn new(out: &[usize], views: &[View<'a, T>]) -> Self {
        let strides: Vec<Vec<usize>> = views.iter().map(|view| view.broadcast(out)).collect();
        let (sizes, strides) = merge(out, &strides);
        let natural = natural_strides(&sizes);
        let operand = |(view, strides): (&View<'a, T>, Vec<usize>)| Operand {
            data: view.data,
            whole: strides == natural,
            strides,
        };
        Self { operands: views.iter().zip(strides).map(operand).collect(), sizes }
    }

    fn inner(&self) -> usize {
        self.sizes.last().copied().unwrap_or(1)
    }

    /// How long the block at `start` is: up to `end`, `limit`, and the end of a long inner run.
    pub(crate) fn block(&self, start: usize, end: usize, limit: usize) -> usize {
        let inner = self.inner();
        let run = if inner >= SHORT { inner - start % inner } else { usize::MAX };
        run.min(limit).min(end - start)
    }

    /// Whether no operand ever needs a buffer.
    pub(crate) fn never_gathers(&self) -> bool {
        self.operands.iter().all(|operand| {
            let inner = operand.strides.last().copied().unwrap_or(0);
            operand.whole || (inner < 2 && self.inner() >= SHORT)
        })
    }

    /// The elements of operand `index` for the block, unless they are scattered.
    pub(crate) fn run(&self, index: usize, start: usize, length: usize) -> Option<Run<'a, T>> {
        let operand = &self.operands[index];
        if operand.whole {
            return Some(Run::Slice(&operand.data[start..start + length]));
        }
        if operand.strides.iter().all(|&stride| stride == 0) {
            return Some(Run::Same(operand.data[0]));
        }
        let inner = self.inner();
        if start % inner + length > inner {
            return None;
        }
        let offset = self.offset(operand, start);
        match operand.strides.last().copied().unwrap_or(0) {
            0 => Some(Run::Same(operand.data[offset])),
            1 => Some(Run::Slice(&operand.data[offset..offset + length])),
            _ => None,
        }
    }

    /// Where the element of `operand` for the output's element `at` lies.
    fn offset(&self, operand: &Operand<'_, T>, mut at: usize) -> usize {
        let mut offset = 0;
        for (&size, &stride) in self.sizes.iter().zip(&operand.strides).rev() {
            offset += at % size * stride;
            at /= size;
        }
        offset
    }

    /// Collects the elements of operand `index` from the output's element `start` on.
    pub(crate) fn gather<U: Copy>(
        &self,
        index: usize,
        mut start: usize,
        mut out: &mut [U],
        convert: impl Fn(T) -> U,
    ) {
        let operand = &self.operands[index];
        let inner = self.inner();
        let stride = operand.strides.last().copied().unwrap_or(0);
        while !out.is_empty() {
            let length = (inner - start % inner).min(out.len());
            let from = &operand.data[self.offset(operand, start)..];
            let (run, rest) = out.split_at_mut(length);
            match stride {
                0 => run.fill(convert(from[0])),
                1 => run.iter_mut().zip(from).for_each(|(to, &from)| *to = convert(from)),
                _ => {
                    let scattered = from.iter().step_by(stride);
                    run.iter_mut().zip(scattered).for_each(|(to, &from)| *to = convert(from));
                }
            }
            start += length;
            out = rest;
        }
    }
}

fn natural_strides(sizes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sizes.len()];
    for axis in (1..sizes.len()).rev() {
        strides[axis - 1] = strides[axis] * sizes[axis];
    }
    strides
}

/// Drops axes of size one and joins neighbours that all operands walk as one.
fn merge(sizes: &[usize], strides: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut merged: Vec<usize> = Vec::with_capacity(sizes.len());
    let mut steps: Vec<Vec<usize>> = vec![Vec::with_capacity(sizes.len()); strides.len()];
    for (axis, &size) in sizes.iter().enumerate().filter(|&(_, &size)| size != 1) {
        let joins = !merged.is_empty()
            && strides
                .iter()
                .zip(&steps)
                .all(|(old, new)| new.last().is_some_and(|&outer| outer == old[axis] * size));
        if joins {
            let last = merged.len() - 1;
            merged[last] *= size;
        } else {
            merged.push(size);
        }
        for (old, new) in strides.iter().zip(&mut steps) {
            if joins {
                new.pop();
            }
            new.push(old[axis]);
        }
    }
    (merged, steps)
}
