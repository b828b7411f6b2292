//! Right-hand sides of 16-bit floats, kept as such and widened when they are used.
//!
//! Reading weights is what a product of few rows spends its time on, so they are widened in
//! registers there; for more rows a strip is widened once and shared.
#![expect(clippy::needless_range_loop, reason = "indices run over registers and addresses at once")]

use std::ops::Range;

use half::{bf16, f16};
use remuda_simd::{Isa, Kernel, Simd};

use super::matrix::Matrix;
use super::source::{PanelSource, STRIP};

/// The most rows that are multiplied without widening strips first.
const DIRECT_ROWS: usize = 4;

/// Vectors of a strip where they are shortest.
const MAX_VECTORS: usize = 4;

/// A 16-bit float that converts to f32 exactly.
pub trait HalfFloat: Copy + Send + Sync + Default + 'static {
    /// The f32 of the same value.
    fn widen(self) -> f32;

    /// The first lanes of `values`, widened.
    fn load<S: Simd>(simd: S, values: &[Self]) -> S::F32;
}

impl HalfFloat for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self]) -> S::F32 {
        simd.load_f16(values)
    }
}

impl HalfFloat for bf16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self]) -> S::F32 {
        simd.load_bf16(values)
    }
}

impl<T: HalfFloat> PanelSource for Matrix<'_, T> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn pack(&self, start: usize, rows: Range<usize>, strips: Range<usize>, out: &mut [f32]) {
        let mut out = out.iter_mut();
        for strip in strips {
            let first = strip * STRIP;
            for row in rows.clone() {
                let start = start + row * self.row_stride;
                for (column, value) in (first..first + STRIP).zip(&mut out) {
                    let index = start + column * self.column_stride;
                    *value = if column < self.columns { self.data[index].widen() } else { 0.0 };
                }
            }
        }
    }
}

/// A right-hand side of 16-bit floats in strips, `[strips][rows][STRIP]`.
#[derive(Debug, Clone)]
pub struct PackedHalf<T> {
    isa: Isa,
    rows: usize,
    columns: usize,
    values: Vec<T>,
}

impl<T: HalfFloat> PackedHalf<T> {
    /// Packs a matrix; `isa` is what widens it later.
    #[must_use]
    pub fn new(isa: Isa, matrix: &Matrix<'_, T>) -> Self {
        let (rows, columns) = (matrix.rows, matrix.columns);
        let mut values = vec![T::default(); columns.div_ceil(STRIP) * rows * STRIP];
        for row in 0..rows {
            for column in 0..columns {
                let index = row * matrix.row_stride + column * matrix.column_stride;
                let place = (column / STRIP * rows + row) * STRIP + column % STRIP;
                values[place] = matrix.data[index];
            }
        }
        Self { isa, rows, columns, values }
    }

    /// The memory it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of_val(&self.values[..])
    }

    /// Some rows of a strip.
    #[inline(always)]
    fn strip(&self, strip: usize, rows: &Range<usize>) -> &[T] {
        let start = strip * self.rows;
        &self.values[(start + rows.start) * STRIP..(start + rows.end) * STRIP]
    }
}

impl<T: HalfFloat> PanelSource for PackedHalf<T> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn pack(&self, _: usize, rows: Range<usize>, strips: Range<usize>, out: &mut [f32]) {
        if rows.is_empty() {
            return;
        }
        for (strip, out) in strips.zip(out.chunks_exact_mut(rows.len() * STRIP)) {
            self.isa.run(Widen { values: self.strip(strip, &rows), out });
        }
    }

    fn direct_rows(&self) -> usize {
        DIRECT_ROWS
    }

    fn multiply(&self, _: usize, lhs: &[f32], strips: Range<usize>, out: &mut [f32]) {
        self.isa.run(Multiply { weights: self, lhs, strips, out });
    }
}

struct Widen<'a, T> {
    values: &'a [T],
    out: &'a mut [f32],
}

impl<T: HalfFloat> Kernel for Widen<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let values = self.values.chunks_exact(S::LANES);
        for (values, out) in values.zip(self.out.chunks_exact_mut(S::LANES)) {
            simd.store(T::load(simd, values), out);
        }
    }
}

/// Multiplies few rows with strips, `[rows][strips][STRIP]`.
struct Multiply<'a, T> {
    weights: &'a PackedHalf<T>,
    lhs: &'a [f32],
    strips: Range<usize>,
    out: &'a mut [f32],
}

impl<T: HalfFloat> Kernel for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        match self.lhs.len() / self.weights.rows.max(1) {
            1 if S::LANES >= 8 => self.rows::<S, 1, 4>(simd),
            1 => self.rows::<S, 1, 2>(simd),
            2 => self.rows::<S, 2, 2>(simd),
            3 => self.rows::<S, 3, 1>(simd),
            _ => self.rows::<S, 4, 1>(simd),
        }
    }
}

impl<T: HalfFloat> Multiply<'_, T> {
    /// `R` rows, as many as there are, with up to `C` strips at a time: as many streams of memory.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const C: usize>(&mut self, simd: S) {
        let mut strip = self.strips.start;
        while strip + C <= self.strips.end {
            self.strips::<S, R, C>(simd, strip);
            strip += C;
        }
        while strip < self.strips.end {
            self.strips::<S, R, 1>(simd, strip);
            strip += 1;
        }
    }

    #[inline(always)]
    fn strips<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, first: usize) {
        let depth = self.weights.rows;
        let vectors = STRIP / S::LANES;
        let strips: [&[T]; C] = std::array::from_fn(|c| self.weights.strip(first + c, &(0..depth)));
        let mut sums = [[[simd.zero(); MAX_VECTORS]; C]; R];
        for k in 0..depth {
            let factors: [S::F32; R] = std::array::from_fn(|r| simd.splat(self.lhs[r * depth + k]));
            for c in 0..C {
                let values = &strips[c][k * STRIP..][..STRIP];
                for v in 0..vectors {
                    let values = T::load(simd, &values[v * S::LANES..]);
                    for r in 0..R {
                        sums[r][c][v] = simd.mul_add(factors[r], values, sums[r][c][v]);
                    }
                }
            }
        }
        let width = self.strips.len() * STRIP;
        for r in 0..R {
            for c in 0..C {
                for v in 0..vectors {
                    let place = r * width + (first + c - self.strips.start) * STRIP;
                    simd.store(sums[r][c][v], &mut self.out[place + v * S::LANES..]);
                }
            }
        }
    }
}
