//! The position of the greatest or smallest element along an axis.

use remuda_simd::{Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;

/// Which element is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    /// The greatest.
    Max,
    /// The smallest.
    Min,
}

/// Which of several equal elements counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// The first.
    First,
    /// The last.
    Last,
}

const COST: Picoseconds = Picoseconds(700);

/// The position along `axis` of the extreme of every row of an array of `shape`. NaN is more extreme
/// than any number.
///
/// # Panics
/// When a slice does not fit `shape`, the axis is empty while the others are not, or it has more than
/// 2^32 elements.
pub fn position_of_extreme<T: PartialOrd + Copy + Sync>(
    cx: Context<'_>,
    (extreme, ties): (Extreme, Ties),
    src: &[T],
    out: &mut [i64],
    shape: &[usize],
    axis: usize,
) {
    let length = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    assert_eq!(src.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    assert_eq!(out.len() * length, src.len(), "one position per row of shape {shape:?}");
    assert!(u32::try_from(length).is_ok(), "expected at most 2^32 elements, got {length}");
    let cost = Picoseconds(COST.0 * length);
    cx.pieces(out, inner, cost, |first, out| {
        for (slab, out) in out.chunks_mut(inner).enumerate() {
            let src = &src[(first + slab) * length * inner..][..length * inner];
            cx.run_loop(Slab { extreme, ties, src, out });
        }
    });
}

/// The positions of the columns of a slab.
struct Slab<'a, T> {
    extreme: Extreme,
    ties: Ties,
    src: &'a [T],
    out: &'a mut [i64],
}

impl<T: PartialOrd + Copy> Kernel for Slab<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { extreme, ties, src, out } = self;
        match (extreme, ties, out) {
            (_, _, [one]) => *one = row_position(extreme, ties, src),
            (Extreme::Max, Ties::First, out) => {
                column_positions(Extreme::Max, Ties::First, src, out);
            }
            (_, _, out) => column_positions(extreme, ties, src, out),
        }
    }
}

/// Whether `new` takes the place of `best`.
#[inline(always)]
fn replaces<T: PartialOrd + Copy>(extreme: Extreme, ties: Ties, new: T, best: T) -> bool {
    let is_nan = |value: T| value.partial_cmp(&value).is_none();
    if is_nan(best) {
        return ties == Ties::Last && is_nan(new);
    }
    let beyond = match extreme {
        Extreme::Max => new > best,
        Extreme::Min => new < best,
    };
    beyond || (ties == Ties::Last && new == best) || is_nan(new)
}

/// Elements are compared in blocks: only a block with a new extreme is looked at one by one.
#[inline(always)]
fn row_position<T: PartialOrd + Copy>(extreme: Extreme, ties: Ties, row: &[T]) -> i64 {
    const BLOCK: usize = 64;
    let (mut position, mut best) = (0, row[0]);
    for (block, values) in row.chunks(BLOCK).enumerate() {
        let any = values.iter().fold(false, |any, &x| any | replaces(extreme, ties, x, best));
        if !any {
            continue;
        }
        for (index, &x) in values.iter().enumerate() {
            if replaces(extreme, ties, x, best) {
                (position, best) = (block * BLOCK + index, x);
            }
        }
    }
    position.cast_signed() as i64
}

/// Positions are kept in 32 bits, as wide as most elements; longer axes are refused at the door.
#[inline(always)]
fn column_positions<T: PartialOrd + Copy>(
    extreme: Extreme,
    ties: Ties,
    slab: &[T],
    out: &mut [i64],
) {
    const COLUMNS: usize = 256;
    let inner = out.len();
    for column in (0..inner).step_by(COLUMNS) {
        let width = COLUMNS.min(inner - column);
        let mut best = [slab[column]; COLUMNS];
        best[..width].copy_from_slice(&slab[column..column + width]);
        let mut positions = [0_u32; COLUMNS];
        for (row, values) in slab.chunks_exact(inner).enumerate().skip(1) {
            let values = &values[column..column + width];
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            for ((&x, best), position) in values.iter().zip(&mut best).zip(&mut positions) {
                let new = replaces(extreme, ties, x, *best);
                *best = if new { x } else { *best };
                *position = if new { row } else { *position };
            }
        }
        for (to, from) in out[column..column + width].iter_mut().zip(positions) {
            *to = i64::from(from);
        }
    }
}
