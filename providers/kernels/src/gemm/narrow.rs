//! The last columns of a product, when they are too few for a strip.
//!
//! A strip of a few columns would cost as much as a whole one. Both operands being contiguous along
//! the depth, these columns are computed as dot products instead, vectors along the depth.
#![expect(clippy::needless_range_loop, reason = "indices run over registers and addresses at once")]

use remuda_simd::{Isa, Kernel, Simd};

/// The most columns that are computed this way.
pub(super) const COLUMNS: usize = 4;
/// The most rows that are computed together.
pub(super) const ROWS: usize = 4;

/// Rows times columns, both contiguous along the depth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dots<'a> {
    /// First element of the rows.
    pub(super) lhs: *const f32,
    /// From one row to the next.
    pub(super) lhs_row: usize,
    pub(super) depth: usize,
    /// Column after column.
    pub(super) columns: &'a [f32],
}

/// Writes the products of `rows` rows to `sums`, `[rows][COLUMNS]`.
///
/// # Safety
/// The rows that `dots` describes must be readable.
pub(super) unsafe fn multiply(
    isa: Isa,
    dots: &Dots<'_>,
    rows: usize,
    sums: &mut [[f32; COLUMNS]; ROWS],
) {
    isa.run(DotKernel { dots, rows, sums });
}

struct DotKernel<'a> {
    dots: &'a Dots<'a>,
    rows: usize,
    sums: &'a mut [[f32; COLUMNS]; ROWS],
}

impl Kernel for DotKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let columns = self.dots.columns.len().checked_div(self.dots.depth).unwrap_or(0);
        let mut row = 0;
        while row < self.rows {
            // Four products at least hide the latency, eight fill the registers.
            let rest = self.rows - row;
            let step = match (columns, rest) {
                (1, 4..) => step::<S, 4, 1>(simd, self.dots, row, self.sums),
                (2, 4..) => step::<S, 4, 2>(simd, self.dots, row, self.sums),
                (3, 2..) => step::<S, 2, 3>(simd, self.dots, row, self.sums),
                (4, 2..) => step::<S, 2, 4>(simd, self.dots, row, self.sums),
                (1, _) => step::<S, 1, 1>(simd, self.dots, row, self.sums),
                (2, _) => step::<S, 1, 2>(simd, self.dots, row, self.sums),
                (3, _) => step::<S, 1, 3>(simd, self.dots, row, self.sums),
                _ => step::<S, 1, 4>(simd, self.dots, row, self.sums),
            };
            row += step;
        }
    }
}

/// `R` rows from `first` on by `C` columns; gives back `R`.
#[inline(always)]
fn step<S: Simd, const R: usize, const C: usize>(
    simd: S,
    dots: &Dots<'_>,
    first: usize,
    out: &mut [[f32; COLUMNS]; ROWS],
) -> usize {
    let depth = dots.depth;
    let row = |r: usize| {
        let start = dots.lhs.wrapping_add((first + r) * dots.lhs_row);
        // SAFETY: the caller of `multiply` promises rows of this depth.
        unsafe { std::slice::from_raw_parts(start, depth) }
    };
    let mut sums = [[simd.zero(); C]; R];
    let whole = depth - depth % S::LANES;
    for k in (0..whole).step_by(S::LANES) {
        let columns: [S::F32; C] =
            std::array::from_fn(|c| simd.load(&dots.columns[c * depth + k..][..S::LANES]));
        for r in 0..R {
            let values = simd.load(&row(r)[k..][..S::LANES]);
            for c in 0..C {
                sums[r][c] = simd.mul_add(values, columns[c], sums[r][c]);
            }
        }
    }
    if whole < depth {
        for r in 0..R {
            let values = simd.load_partial(&row(r)[whole..], 0.0);
            for c in 0..C {
                let column = &dots.columns[c * depth + whole..(c + 1) * depth];
                sums[r][c] = simd.mul_add(values, simd.load_partial(column, 0.0), sums[r][c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            out[first + r][c] = simd.reduce_add(sums[r][c]);
        }
    }
    R
}
