//! Weights packed once, when a model is compiled, and read by every run and thread.

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
