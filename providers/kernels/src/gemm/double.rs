//! Products of f64 matrices, row by row: models have few of them and none is large.

use super::matrix::{Matrix, extent};
use super::{GemmError, fits};
use crate::Context;
use crate::pool::Schedule;

/// `alpha * A*B + beta * C` into the rows of `out`, which lie one after the other; at a `beta` of
/// zero `out` is not read.
///
/// # Errors
/// When sizes do not fit each other or a slice is too short; nothing has been written then.
pub fn multiply_f64(
    context: Context<'_>,
    lhs: Matrix<'_, f64>,
    rhs: Matrix<'_, f64>,
    [alpha, beta]: [f64; 2],
    out: &mut [f64],
) -> Result<(), GemmError> {
    if lhs.columns != rhs.rows {
        return Err(GemmError::Depth { expected: lhs.columns, got: rhs.rows });
    }
    let needed = extent([lhs.rows, rhs.columns], [rhs.columns, 1]).unwrap_or(usize::MAX);
    fits("output", 0, needed, out.len())?;
    if needed == 0 {
        return Ok(());
    }
    let work = lhs.columns.saturating_mul(rhs.columns).max(1);
    // Small rows go together, so that handing them out costs little.
    let together = (16_384 / work).clamp(1, lhs.rows);
    let length = together * rhs.columns;
    context.pool.parallel_pieces(&mut out[..needed], length, Schedule::Dynamic, |piece, out| {
        for (slot, out) in out.chunks_exact_mut(rhs.columns).enumerate() {
            if beta == 0.0 {
                out.fill(0.0);
            } else {
                out.iter_mut().for_each(|out| *out *= beta);
            }
            add_row(&lhs, &rhs, piece * together + slot, alpha, out);
        }
    });
    Ok(())
}

/// Adds one row of the product, scaled.
fn add_row(lhs: &Matrix<'_, f64>, rhs: &Matrix<'_, f64>, row: usize, alpha: f64, out: &mut [f64]) {
    for k in 0..lhs.columns {
        let factor = alpha * lhs.data[row * lhs.row_stride + k * lhs.column_stride];
        let start = k * rhs.row_stride;
        if rhs.column_stride == 1 {
            let values = &rhs.data[start..start + out.len()];
            out.iter_mut().zip(values).for_each(|(out, value)| *out += factor * value);
        } else {
            for (column, out) in out.iter_mut().enumerate() {
                *out += factor * rhs.data[start + column * rhs.column_stride];
            }
        }
    }
}
