//! Where the right-hand side of a product comes from: any matrix that can be written as panels.
//!
//! The kernels read it in *strips* of [`STRIP`] columns, `[depth][STRIP]`, each strip contiguous.
//! A convolution writes such strips straight from its image and a quantised weight dequantises
//! into them, so neither is ever stored as a whole matrix of floats.

use std::ops::Range;

use super::matrix::Matrix;

/// Columns of a strip, whatever the instruction set: packed weights fit them all.
pub const STRIP: usize = 16;

/// A matrix that can be written as strips, part by part.
pub trait PanelSource: Sync {
    /// How many rows: the depth of the product.
    fn rows(&self) -> usize;

    /// How many columns.
    fn columns(&self) -> usize;

    /// Writes rows `rows` of strips `strips` to `out`, strip after strip, `[rows][STRIP]` each.
    ///
    /// `start` is where the item of a batch begins, [`Offsets::rhs`](super::Offsets::rhs). Columns
    /// past the last may hold anything. `out` is exactly as long as that takes.
    fn pack(&self, start: usize, rows: Range<usize>, strips: Range<usize>, out: &mut [f32]);

    /// The most rows for which [`Self::multiply`] is faster than writing strips.
    fn direct_rows(&self) -> usize {
        0
    }

    /// Multiplies rows of the whole depth, one after the other in `lhs`, with `strips`, and writes
    /// `[rows][strips][STRIP]`. Called only for up to [`Self::direct_rows`] rows.
    fn multiply(&self, start: usize, lhs: &[f32], strips: Range<usize>, out: &mut [f32]) {
        let _ = (start, lhs, strips, out);
    }
}

impl PanelSource for Matrix<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn pack(&self, start: usize, rows: Range<usize>, strips: Range<usize>, out: &mut [f32]) {
        if rows.is_empty() {
            return;
        }
        for (strip, out) in strips.zip(out.chunks_exact_mut(rows.len() * STRIP)) {
            let first = strip * STRIP;
            let width = STRIP.min(self.columns - first);
            let start = start + rows.start * self.row_stride + first * self.column_stride;
            let data = &self.data[start..];
            if self.column_stride == 1 {
                pack_rows(data, self.row_stride, width, out);
            } else {
                pack_columns(data, [self.row_stride, self.column_stride], width, out);
            }
        }
    }
}

/// Copies pieces of rows.
fn pack_rows(data: &[f32], row_stride: usize, width: usize, out: &mut [f32]) {
    for (row, out) in out.as_chunks_mut::<STRIP>().0.iter_mut().enumerate() {
        let start = row * row_stride;
        if let Some(full) = data.get(start..start + STRIP).filter(|_| width == STRIP) {
            out.copy_from_slice(full);
        } else {
            out.fill(0.0);
            out[..width].copy_from_slice(&data[start..start + width]);
        }
    }
}

/// Gathers columns, a square block at a time so that reads and writes stay within few cache lines.
fn pack_columns(
    data: &[f32],
    [row_stride, column_stride]: [usize; 2],
    width: usize,
    out: &mut [f32],
) {
    if width < STRIP {
        out.fill(0.0);
    }
    for (block, out) in out.chunks_mut(STRIP * STRIP).enumerate() {
        let rows = out.len() / STRIP;
        let start = block * STRIP * row_stride;
        for column in 0..width {
            let data = &data[start + column * column_stride..];
            if row_stride == 1 {
                let values = &data[..rows];
                for (row, &value) in values.iter().enumerate() {
                    out[row * STRIP + column] = value;
                }
            } else {
                for row in 0..rows {
                    out[row * STRIP + column] = data[row * row_stride];
                }
            }
        }
    }
}
