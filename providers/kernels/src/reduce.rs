//! Reductions over any axes, and the position of the extreme along one.
//!
//! Axes that are reduced, or kept, side by side are merged, so an array becomes alternating kept and
//! reduced axes. When the last is reduced, rows are folded; when it is kept, whole rows are
//! accumulated into the output, so that memory is always read in order.

mod extreme;
mod kinds;
#[cfg(test)]
mod tests;

use remuda_simd::Element;

use crate::Context;
use crate::context::Picoseconds;
use crate::convert::{Narrow, Widen};

pub use extreme::{Extreme, Ties, position_of_extreme};
pub use kinds::Reduction;

const COST: Picoseconds = Picoseconds(150);

/// Reduces the axes for which `reduced` says so of an array of `shape`; `out` has the other axes.
///
/// # Panics
/// When a slice or `reduced` does not fit `shape`.
pub fn reduce<T: Element>(
    cx: Context<'_>,
    kind: Reduction,
    src: &[T],
    out: &mut [T],
    shape: &[usize],
    reduced: &[bool],
) {
    assert_eq!(shape.len(), reduced.len(), "a truth per axis");
    assert_eq!(src.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    let plan = Plan::new(shape, reduced);
    assert_eq!(out.len(), plan.outputs(), "kept elements of shape {shape:?}");
    if out.is_empty() {
        return;
    }
    if src.is_empty() {
        return out.fill(T::from_f32(kind.finish(kind.start(), 0.0)));
    }
    let cost = Picoseconds(kind.cost().0 * (src.len() / out.len()).max(1));
    if plan.last_is_reduced() {
        cx.pieces(out, 1, cost, |first, out| rows(cx, kind, &plan, src, first, out));
    } else {
        let width = plan.axes.last().map_or(1, |axis| axis.size);
        cx.pieces(out, width, cost, |first, out| {
            for (row, out) in out.chunks_mut(width).enumerate() {
                columns(cx, kind, &plan, src, first + row, out);
            }
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    size: usize,
    stride: usize,
    reduced: bool,
}

/// The array as alternating kept and reduced axes.
#[derive(Debug)]
struct Plan {
    axes: Vec<Axis>,
}

impl Plan {
    fn new(shape: &[usize], reduced: &[bool]) -> Self {
        let mut axes: Vec<Axis> = Vec::new();
        for (&size, &reduced) in shape.iter().zip(reduced).filter(|(size, _)| **size != 1) {
            match axes.last_mut() {
                Some(last) if last.reduced == reduced => last.size *= size,
                _ => axes.push(Axis { size, stride: 0, reduced }),
            }
        }
        let mut stride = 1;
        for axis in axes.iter_mut().rev() {
            axis.stride = stride;
            stride *= axis.size;
        }
        Self { axes }
    }

    fn outputs(&self) -> usize {
        self.axes.iter().filter(|axis| !axis.reduced).map(|axis| axis.size).product()
    }

    fn last_is_reduced(&self) -> bool {
        self.axes.last().is_none_or(|axis| axis.reduced)
    }

    /// The number of elements of the axes that are or are not reduced, but for the last axis.
    fn count(&self, reduced: bool) -> usize {
        let outer = self.axes.split_last().map_or(&[][..], |(_, outer)| outer);
        outer.iter().filter(|axis| axis.reduced == reduced).map(|axis| axis.size).product()
    }

    /// Where the combination `index` of those axes begins.
    fn offset(&self, reduced: bool, mut index: usize) -> usize {
        let outer = self.axes.split_last().map_or(&[][..], |(_, outer)| outer);
        let mut offset = 0;
        for axis in outer.iter().rev().filter(|axis| axis.reduced == reduced) {
            offset += index % axis.size * axis.stride;
            index /= axis.size;
        }
        offset
    }
}

/// Each output folds rows that lie apart.
fn rows<T: Element>(
    cx: Context<'_>,
    kind: Reduction,
    plan: &Plan,
    src: &[T],
    first: usize,
    out: &mut [T],
) {
    let length = plan.axes.last().map_or(1, |axis| axis.size);
    let parts = plan.count(true);
    let start = plan.offset(false, first);
    let together = parts == 1 && !kind.needs_centre();
    if let (true, Some(src), Some(out)) = (together, T::as_f32(src), T::as_f32_mut(out)) {
        let src = &src[start..start + out.len() * length];
        return cx.run(kinds::Rows { kind, length, src, out });
    }
    let mut wide = Vec::new();
    for (index, out) in out.iter_mut().enumerate() {
        let base = plan.offset(false, first + index);
        let row = |part: usize| &src[base + plan.offset(true, part)..][..length];
        let mut value = kind.start();
        let mut centre = 0.0;
        if kind.needs_centre() {
            let greatest = Reduction::Max;
            centre = (0..parts).fold(greatest.start(), |max, part| {
                greatest.join(max, fold_row(cx, greatest, 0.0, row(part), &mut wide))
            });
            centre = if centre.is_finite() { centre } else { 0.0 };
        }
        for part in 0..parts {
            value = kind.join(value, fold_row(cx, kind, centre, row(part), &mut wide));
        }
        *out = T::from_f32(kind.finish_with(value, centre, (parts * length) as f32));
    }
}

fn fold_row<T: Element>(
    cx: Context<'_>,
    kind: Reduction,
    centre: f32,
    row: &[T],
    wide: &mut Vec<f32>,
) -> f32 {
    if let Some(row) = T::as_f32(row) {
        return cx.run(kinds::Row { kind, centre, row });
    }
    wide.resize(row.len(), 0.0);
    cx.run(Widen { src: row, dst: wide });
    cx.run(kinds::Row { kind, centre, row: wide })
}

/// Rows are accumulated into a row of outputs.
fn columns<T: Element>(
    cx: Context<'_>,
    kind: Reduction,
    plan: &Plan,
    src: &[T],
    index: usize,
    out: &mut [T],
) {
    let width = out.len();
    let parts = plan.count(true);
    let base = plan.offset(false, index);
    let row = |part: usize| &src[base + plan.offset(true, part)..][..width];
    let (mut sums, mut centre) = (vec![kind.start(); width], vec![0.0; width]);
    let mut wide = vec![0.0; if T::as_f32(&[]).is_some() { 0 } else { width }];
    let mut accumulate = |kind: Reduction, sums: &mut [f32], centre: &[f32]| {
        for part in 0..parts {
            let row = row(part);
            let row = T::as_f32(row).unwrap_or_else(|| {
                cx.run(Widen { src: row, dst: &mut wide });
                &wide
            });
            cx.run(kinds::Accumulate { kind, sums, centre, row });
        }
    };
    if kind.needs_centre() {
        let mut greatest = vec![Reduction::Max.start(); width];
        accumulate(Reduction::Max, &mut greatest, &[]);
        let finite = |max: f32| if max.is_finite() { max } else { 0.0 };
        centre = greatest.into_iter().map(finite).collect();
    }
    accumulate(kind, &mut sums, &centre);
    for (sum, centre) in sums.iter_mut().zip(&centre) {
        *sum = kind.finish_with(*sum, *centre, parts as f32);
    }
    cx.run(Narrow { src: &sums, dst: out });
}
