//! The microkernel: one tile of the output in registers, over one block of the depth.
//!
//! A tile is `R` rows by `S` strips of 16 columns. Each step of the depth loads the strips' vectors
//! once and multiplies them by one broadcast element per row. The same source is compiled per
//! instruction set and tile shape; the shapes are chosen in [`super::shapes`] so that everything
//! fits the registers.
#![expect(clippy::needless_range_loop, reason = "indices run over registers and addresses at once")]

use remuda_simd::{Kernel, Simd};

use super::source::STRIP;

/// The largest tile: what the buffer for a ragged edge must hold.
pub(super) const MAX_ROWS: usize = 8;
/// As [`MAX_ROWS`], in strips.
pub(super) const MAX_STRIPS: usize = 4;

/// Vectors of a strip on the narrowest instruction set.
const MAX_VECTORS: usize = 4;

/// One tile's operands. Strides are in floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// Steps of the depth.
    pub(super) depth: usize,
    /// First element of the left-hand rows.
    pub(super) lhs: *const f32,
    /// From one of those rows to the next.
    pub(super) lhs_row: usize,
    /// From one step to the next within a row.
    pub(super) lhs_step: usize,
    /// First vector of the first strip.
    pub(super) rhs: *const f32,
    /// From one strip to the next.
    pub(super) rhs_strip: usize,
    /// From one step to the next within a strip.
    pub(super) rhs_step: usize,
    /// First element of the output tile.
    pub(super) out: *mut f32,
    /// From one output row to the next.
    pub(super) out_row: usize,
    /// Columns of the tile that exist; the others are computed and dropped.
    pub(super) columns: usize,
    /// What is done with the sums.
    pub(super) finish: Finish,
}

/// The part of an epilogue that is applied in registers; absent pointers are null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) column_bias: *const f32,
    pub(super) row_bias: *const f32,
    /// Laid out as the output.
    pub(super) residual: *const f32,
    /// Least and greatest result, if bounded.
    pub(super) bounds: Option<[f32; 2]>,
}

/// [`Tile`] with its shape, as work for an instruction set.
pub(super) struct TileKernel<'a, const R: usize, const S: usize>(&'a Tile);

impl<'a, const R: usize, const S: usize> TileKernel<'a, R, S> {
    /// # Safety
    /// For `R` rows, the tile's columns and its depth every element that the strides of `tile`
    /// reach must be valid: the left-hand side, whole strips of the right-hand side, the output
    /// (for writing, and for reading if `beta` is not zero) and what `finish` points to.
    pub(super) unsafe fn new(tile: &'a Tile) -> Self {
        Self(tile)
    }
}

type Sums<V, const R: usize, const S: usize> = [[[V; MAX_VECTORS]; S]; R];

impl<const R: usize, const S: usize> Kernel for TileKernel<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: Simd>(self, simd: I) {
        // Compiled away, or all that is left of a shape that this instruction set never has.
        assert!(R * S * (STRIP / I::LANES) <= most_sums(I::LANES), "a shape of wider registers");
        let tile = self.0;
        for r in 0..R {
            prefetch(tile.out.wrapping_add(r * tile.out_row), S);
        }
        let sums = multiply::<I, R, S>(simd, tile);
        if tile.columns == S * STRIP {
            finish_whole::<I, R, S>(simd, tile, sums);
        } else {
            finish_ragged(simd, tile, &sums);
        }
    }
}

/// The vectors of sums that any shape has where vectors have so many lanes.
const fn most_sums(lanes: usize) -> usize {
    if lanes == 8 { 12 } else { 24 }
}

/// Asks for the cache lines of one row of the output before they are needed.
#[inline(always)]
fn prefetch(row: *const f32, strips: usize) {
    #[cfg(target_arch = "x86_64")]
    for s in 0..strips {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed, and SSE is part of the architecture.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(s * STRIP).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (row, strips);
}

#[inline(always)]
fn load<I: Simd>(simd: I, src: *const f32) -> I::F32 {
    // SAFETY: callers are within the bounds promised to `TileKernel::new`.
    simd.load(unsafe { std::slice::from_raw_parts(src, I::LANES) })
}

#[inline(always)]
fn multiply<I: Simd, const R: usize, const S: usize>(simd: I, tile: &Tile) -> Sums<I::F32, R, S> {
    let mut sums = [[[simd.zero(); MAX_VECTORS]; S]; R];
    let (mut lhs, mut rhs) = (tile.lhs, tile.rhs);
    for _ in 0..tile.depth {
        let mut vectors = [[simd.zero(); MAX_VECTORS]; S];
        for s in 0..S {
            for v in 0..STRIP / I::LANES {
                vectors[s][v] = load(simd, rhs.wrapping_add(s * tile.rhs_strip + v * I::LANES));
            }
        }
        for r in 0..R {
            // SAFETY: row `r` of this step, as promised to `TileKernel::new`.
            let factor = simd.splat(unsafe { *lhs.wrapping_add(r * tile.lhs_row) });
            for s in 0..S {
                for v in 0..STRIP / I::LANES {
                    sums[r][s][v] = simd.mul_add(factor, vectors[s][v], sums[r][s][v]);
                }
            }
        }
        lhs = lhs.wrapping_add(tile.lhs_step);
        rhs = rhs.wrapping_add(tile.rhs_step);
    }
    sums
}

/// Finishes a tile all of whose columns exist, without leaving the registers: step after step, each
/// for all of them.
#[inline(always)]
fn finish_whole<I: Simd, const R: usize, const S: usize>(
    simd: I,
    tile: &Tile,
    mut sums: Sums<I::F32, R, S>,
) {
    let finish = &tile.finish;
    if finish.alpha != 1.0 {
        let alpha = simd.splat(finish.alpha);
        each::<I, R, S>(&mut sums, |sum, _, _| simd.mul(sum, alpha));
    }
    if finish.beta != 0.0 {
        let beta = simd.splat(finish.beta);
        each::<I, R, S>(&mut sums, |sum, r, column| {
            let before = load(simd, tile.out.wrapping_add(r * tile.out_row + column));
            simd.mul_add(beta, before, sum)
        });
    }
    if !finish.column_bias.is_null() {
        each::<I, R, S>(&mut sums, |sum, _, column| {
            simd.add(sum, load(simd, finish.column_bias.wrapping_add(column)))
        });
    }
    if !finish.row_bias.is_null() {
        each::<I, R, S>(&mut sums, |sum, r, _| {
            // SAFETY: row `r` of the bias, as promised to `TileKernel::new`.
            simd.add(sum, simd.splat(unsafe { *finish.row_bias.wrapping_add(r) }))
        });
    }
    if !finish.residual.is_null() {
        each::<I, R, S>(&mut sums, |sum, r, column| {
            simd.add(sum, load(simd, finish.residual.wrapping_add(r * tile.out_row + column)))
        });
    }
    if let Some([low, high]) = finish.bounds {
        let (low, high) = (simd.splat(low), simd.splat(high));
        // In this order of operands a NaN stays one.
        each::<I, R, S>(&mut sums, |sum, _, _| simd.min(high, simd.max(low, sum)));
    }
    each::<I, R, S>(&mut sums, |sum, r, column| {
        let out = tile.out.wrapping_add(r * tile.out_row + column);
        // SAFETY: within the output, as promised to `TileKernel::new`.
        simd.store(sum, unsafe { std::slice::from_raw_parts_mut(out, I::LANES) });
        sum
    });
}

/// Replaces every vector of sums; `step` is given its row and first column too.
#[inline(always)]
fn each<I: Simd, const R: usize, const S: usize>(
    sums: &mut Sums<I::F32, R, S>,
    step: impl Fn(I::F32, usize, usize) -> I::F32,
) {
    for r in 0..R {
        for s in 0..S {
            for v in 0..STRIP / I::LANES {
                sums[r][s][v] = step(sums[r][s][v], r, s * STRIP + v * I::LANES);
            }
        }
    }
}

/// Finishes a tile whose last columns do not exist, in a buffer that has them.
#[inline(always)]
fn finish_ragged<I: Simd, const R: usize, const S: usize>(
    simd: I,
    tile: &Tile,
    sums: &Sums<I::F32, R, S>,
) {
    let mut buffer = [0.0; MAX_ROWS * MAX_STRIPS * STRIP];
    let width = S * STRIP;
    for r in 0..R {
        for s in 0..S {
            for v in 0..STRIP / I::LANES {
                let start = r * width + s * STRIP + v * I::LANES;
                simd.store(sums[r][s][v], &mut buffer[start..start + I::LANES]);
            }
        }
    }
    for (r, sums) in buffer.chunks_exact(width).take(R).enumerate() {
        // SAFETY: row `r` of the tile, as promised to `TileKernel::new`.
        unsafe { finish_row(tile, r, &sums[..tile.columns]) };
    }
}

/// Finishes one row of sums element by element.
///
/// # Safety
/// As for [`TileKernel::new`], for as many columns as there are sums.
pub(super) unsafe fn finish_row(tile: &Tile, r: usize, sums: &[f32]) {
    let finish = &tile.finish;
    for (column, &sum) in sums.iter().enumerate() {
        let offset = r * tile.out_row + column;
        let out = tile.out.wrapping_add(offset);
        let mut value = sum * finish.alpha;
        if finish.beta != 0.0 {
            // SAFETY: within the output, as the caller promises.
            value += finish.beta * unsafe { *out };
        }
        let addends =
            [(finish.column_bias, column), (finish.row_bias, r), (finish.residual, offset)];
        for (pointer, index) in addends {
            if !pointer.is_null() {
                // SAFETY: within what `finish` points to, as the caller promises.
                value += unsafe { *pointer.wrapping_add(index) };
            }
        }
        if let Some([low, high]) = finish.bounds {
            value = if value.is_nan() { value } else { value.max(low).min(high) };
        }
        // SAFETY: within the output, as the caller promises.
        unsafe { *out = value };
    }
}
