//! Weights packed once, when a model is compiled, and read by every run and thread.

use std::ops::Range;

use half::{bf16, f16};

use super::matrix::Matrix;
use super::source::{PanelSource, STRIP};
use crate::scratch::AlignedFloats;

/// A right-hand side of f32 in strips of full depth, which the kernels read as it is.
#[derive(Debug, Clone)]
pub struct PackedB {
    rows: usize,
    columns: usize,
    floats: AlignedFloats,
}

impl PackedB {
    /// Packs any source.
    #[must_use]
    pub fn new(source: &dyn PanelSource) -> Self {
        let (rows, columns) = (source.rows(), source.columns());
        let strips = columns.div_ceil(STRIP);
        let mut floats = AlignedFloats::zeroed(strips * rows * STRIP);
        source.pack(0, 0..rows, 0..strips, floats.as_mut_slice());
        Self { rows, columns, floats }
    }

    /// Strip after strip, `[rows][STRIP]` each.
    pub(super) fn floats(&self) -> &[f32] {
        self.floats.as_slice()
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The memory it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of_val(self.floats())
    }
}

/// A 16-bit float that converts to f32 exactly.
pub trait HalfFloat: Copy + Send + Sync + Default {
    /// The f32 of the same value.
    fn widen(self) -> f32;
}

impl HalfFloat for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl HalfFloat for bf16 {
    fn widen(self) -> f32 {
        self.to_f32()
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
