//! Copies in which every output index of an axis names a source index of the same axis, or none:
//! slices with any steps, every mode of padding, tiling, expansion and nearest-neighbour scaling.

use super::COPY;
use crate::Context;
use crate::memory::{NoMemory, collected};

/// For every index of an output axis the index of the source, or [`AxisMap::NONE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisMap {
    pub(super) indices: Vec<usize>,
    size: usize,
}

/// What fills the border of a padded axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// The fill value.
    Constant,
    /// The first or last element.
    Edge,
    /// The elements mirrored at the first or last, which is not repeated.
    Reflect,
    /// The elements from the other end.
    Wrap,
}

/// The value of output elements that have no source.
#[derive(Debug, Clone, Copy)]
pub struct Fill<T>(pub T);

impl AxisMap {
    /// No source: the output element is filled.
    pub const NONE: usize = usize::MAX;

    /// Output index `i` is source index `indices[i]` of an axis of `size`.
    ///
    /// # Panics
    /// When an index is outside the axis and not [`Self::NONE`].
    #[must_use]
    pub fn new(indices: Vec<usize>, size: usize) -> Self {
        let inside = |&index: &usize| index < size || index == Self::NONE;
        assert!(indices.iter().all(inside), "expected indices below {size}");
        Self { indices, size }
    }

    /// The axis as it is.
    ///
    /// # Errors
    /// When there is no memory for the indices.
    pub fn identity(size: usize) -> Result<Self, NoMemory> {
        Ok(Self { indices: collected(size, 0..size)?, size })
    }

    /// `count` elements from `start` on, `step` apart.
    ///
    /// # Errors
    /// When there is no memory for the indices.
    ///
    /// # Panics
    /// When they are not all inside the axis.
    pub fn slice(size: usize, start: usize, step: isize, count: usize) -> Result<Self, NoMemory> {
        let at = |index: usize| start.wrapping_add_signed(step.wrapping_mul(index.cast_signed()));
        Ok(Self::new(collected(count, (0..count).map(at))?, size))
    }

    /// The axis repeated.
    ///
    /// # Errors
    /// When there is no memory for the indices.
    pub fn tile(size: usize, times: usize) -> Result<Self, NoMemory> {
        let count = size.checked_mul(times).ok_or(NoMemory(usize::MAX))?;
        Ok(Self { indices: collected(count, (0..size).cycle())?, size })
    }

    /// The axis with `before` and `after` elements more, or fewer where negative.
    ///
    /// # Errors
    /// When there is no memory for the indices.
    pub fn pad(size: usize, before: isize, after: isize, mode: PadMode) -> Result<Self, NoMemory> {
        let signed = size.cast_signed();
        let range = before.saturating_neg()..signed.saturating_add(after);
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let indices = collected(count, range.map(|index| source(index, signed, mode)))?;
        Ok(Self { indices, size })
    }

    fn is_identity(&self) -> bool {
        self.indices.len() == self.size && self.indices.iter().enumerate().all(|(i, &at)| i == at)
    }

    /// Neighbours with neighbouring sources, or without any, as runs.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let together = |&before: &usize, &next: &usize| match before {
            Self::NONE => next == Self::NONE,
            _ => before + 1 == next,
        };
        let runs = self.indices.chunk_by(together);
        runs.map(|run| Run { source: run[0], length: run.len() })
    }
}

fn source(index: isize, size: isize, mode: PadMode) -> usize {
    if (0..size).contains(&index) {
        return index.unsigned_abs();
    }
    if size == 0 {
        return AxisMap::NONE;
    }
    match mode {
        PadMode::Constant => AxisMap::NONE,
        PadMode::Edge => index.clamp(0, size - 1).unsigned_abs(),
        PadMode::Wrap => index.rem_euclid(size).unsigned_abs(),
        PadMode::Reflect => {
            let period = (2 * (size - 1)).max(1);
            let at = index.rem_euclid(period);
            at.min(period - at).min(size - 1).unsigned_abs()
        }
    }
}

/// Neighbouring output elements that are copied or filled together.
#[derive(Debug, Clone, Copy)]
struct Run {
    source: usize,
    length: usize,
}

/// Writes to `out`, whose shape is the lengths of `maps`, the elements of `src` that these name.
///
/// # Errors
/// When there is no memory for what is copied at once.
///
/// # Panics
/// When a slice does not fit the maps.
pub fn remap<T: Copy + Send + Sync>(
    cx: Context<'_>,
    src: &[T],
    maps: &[AxisMap],
    fill: Fill<T>,
    out: &mut [T],
) -> Result<(), NoMemory> {
    assert_eq!(src.len(), maps.iter().map(|map| map.size).product::<usize>(), "source elements");
    assert_eq!(out.len(), maps.iter().map(|map| map.indices.len()).product::<usize>(), "outputs");
    let whole = maps.iter().rev().take_while(|map| map.is_identity()).count();
    let (mapped, same) = maps.split_at(maps.len() - whole);
    let element: usize = same.iter().map(|map| map.size).product();
    let Some((last, outer)) = mapped.split_last() else {
        out.copy_from_slice(src);
        return Ok(());
    };
    let count = last.runs().count();
    let picked = element == 1 && count * 4 > last.indices.len();
    let runs = collected(if picked { 0 } else { count }, last.runs())?;
    let row_length = last.indices.len() * element;
    cx.pieces(out, row_length, COPY, |first, out| {
        let mut before = None;
        for row in 0..out.len() / row_length {
            let (done, rest) = out.split_at_mut(row * row_length);
            let out = &mut rest[..row_length];
            let base = base(outer, first + row);
            match base {
                None => out.fill(fill.0),
                Some(_) if before == base => {
                    out.copy_from_slice(&done[(row - 1) * row_length..]);
                }
                Some(base) => {
                    let src = &src[base * last.size * element..][..last.size * element];
                    if picked {
                        pick(&last.indices, src, fill, out);
                    } else {
                        copy_runs(&runs, element, src, fill, out);
                    }
                }
            }
            before = base;
        }
    });
    Ok(())
}

/// Which row of the source the output's row `index` is, if any.
fn base(outer: &[AxisMap], mut index: usize) -> Option<usize> {
    let (mut base, mut stride) = (0, 1);
    for map in outer.iter().rev() {
        let source = map.indices[index % map.indices.len()];
        index /= map.indices.len();
        if source == AxisMap::NONE {
            return None;
        }
        base += source * stride;
        stride *= map.size;
    }
    Some(base)
}

/// Element by element: for maps without runs.
fn pick<T: Copy>(indices: &[usize], src: &[T], fill: Fill<T>, out: &mut [T]) {
    for (to, &index) in out.iter_mut().zip(indices) {
        *to = src.get(index).copied().unwrap_or(fill.0);
    }
}

fn copy_runs<T: Copy>(runs: &[Run], element: usize, src: &[T], fill: Fill<T>, out: &mut [T]) {
    let mut rest = out;
    for run in runs {
        let (part, after) = rest.split_at_mut(run.length * element);
        match run.source {
            AxisMap::NONE => part.fill(fill.0),
            source if element == 1 && run.length == 1 => part[0] = src[source],
            source => part.copy_from_slice(&src[source * element..][..part.len()]),
        }
        rest = after;
    }
}
