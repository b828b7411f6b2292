//! Products of f32 matrices, `activation(alpha * A*B + beta * C + bias + residual)`.
//!
//! Operands are slices with any strides; the right-hand side may be packed in advance
//! ([`PackedB`]) or written part by part while it is needed ([`PanelSource`]). A batch is a list of
//! offsets, so every kind of broadcasting costs nothing here.
#![expect(
    unsafe_code,
    reason = "tiles of the output are written by several threads, through pointers"
)]

mod activate;
mod blocked;
mod double;
mod epilogue;
mod half;
mod matrix;
mod narrow;
mod packed;
mod shapes;
mod source;
#[cfg(test)]
pub(crate) mod tests;
mod tile;

use crate::Context;
use crate::pool::Shared;

pub(crate) use activate::activate;
pub use blocked::Offsets;
pub use double::multiply_f64;
pub use epilogue::{Activation, Epilogue, Residual};
pub use half::{HalfFloat, PackedHalf};
pub use matrix::Matrix;
pub use packed::PackedB;
pub use source::{PanelSource, STRIP};

use blocked::Job;
pub(crate) use matrix::extent;

/// Operands that do not fit each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GemmError {
    /// The inner sizes differ.
    #[error("expected a right-hand side of {expected} rows, got {got}")]
    Depth {
        /// Columns of the left-hand side.
        expected: usize,
        /// Rows of the right-hand side.
        got: usize,
    },
    /// A slice does not hold what its shape says.
    #[error("expected a {what} of {} elements, got {got}", needed.map_or("too many".to_owned(), |n| n.to_string()))]
    TooShort {
        /// Which slice.
        what: &'static str,
        /// How many elements the shape needs, if that fits an integer.
        needed: Option<usize>,
        /// How many there are.
        got: usize,
    },
    /// Rows of the output would overlap.
    #[error("expected an output row stride of at least {columns}, got {stride}")]
    Overlap {
        /// Columns of the output.
        columns: usize,
        /// The stride asked for.
        stride: usize,
    },
    /// Outputs of a batch would overlap.
    #[error("expected outputs of a batch that do not overlap")]
    BatchOverlap,
}

/// The right-hand side of a product.
#[derive(Clone, Copy)]
pub enum Rhs<'a> {
    /// A matrix as it lies, packed on the fly where that pays.
    Matrix(Matrix<'a>),
    /// Weights packed in advance, shared by the items of a batch.
    Packed(&'a PackedB),
    /// Anything that writes its own strips; it is told the offset of the item.
    Source(&'a dyn PanelSource),
}

impl std::fmt::Debug for Rhs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Matrix(_) => "Matrix",
            Self::Packed(_) => "Packed",
            Self::Source(_) => "Source",
        };
        write!(f, "Rhs::{kind}({} x {})", self.rows(), self.columns())
    }
}

impl Rhs<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Matrix(matrix) => matrix.rows,
            Self::Packed(packed) => packed.rows(),
            Self::Source(source) => source.rows(),
        }
    }

    fn columns(&self) -> usize {
        match self {
            Self::Matrix(matrix) => matrix.columns,
            Self::Packed(packed) => packed.columns(),
            Self::Source(source) => source.columns(),
        }
    }
}

/// A product, or a batch of products of one shape.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// The left-hand side.
    pub lhs: Matrix<'a>,
    /// The right-hand side.
    pub rhs: Rhs<'a>,
    /// What is done with the result.
    pub epilogue: Epilogue<'a>,
    /// Where the items of a batch lie; `&[Offsets::default()]` is a single product.
    pub items: &'a [Offsets],
}

impl<'a> Product<'a> {
    /// A single product without an epilogue.
    #[must_use]
    pub fn new(lhs: Matrix<'a>, rhs: Rhs<'a>) -> Self {
        const ONE: &[Offsets] = &[Offsets { lhs: 0, rhs: 0, out: 0, row_bias: 0 }];
        Self { lhs, rhs, epilogue: Epilogue::default(), items: ONE }
    }

    /// Computes into `out`, whose rows are `out_row` elements apart.
    ///
    /// # Errors
    /// When sizes do not fit each other or a slice is too short; nothing has been written then.
    pub fn run(
        &self,
        context: Context<'_>,
        out: &mut [f32],
        out_row: usize,
    ) -> Result<(), GemmError> {
        self.check(out.len(), out_row)?;
        let [rows, columns] = [self.lhs.rows, self.rhs.columns()];
        if rows == 0 || columns == 0 || self.items.is_empty() {
            return Ok(());
        }
        let job = Job {
            isa: context.isa,
            lhs: self.lhs,
            rhs: self.rhs,
            rows,
            columns,
            depth: self.lhs.columns,
            out: Shared::new(out.as_mut_ptr()),
            out_row,
            epilogue: self.epilogue,
            items: self.items,
        };
        // SAFETY: `check` has shown that every item lies within its slices and that outputs do not
        // overlap; `out` is borrowed mutably until the end.
        unsafe { job.run(context.pool) };
        Ok(())
    }

    fn check(&self, out_length: usize, out_row: usize) -> Result<(), GemmError> {
        let [rows, columns] = [self.lhs.rows, self.rhs.columns()];
        if self.lhs.columns != self.rhs.rows() {
            return Err(GemmError::Depth { expected: self.lhs.columns, got: self.rhs.rows() });
        }
        if out_row < columns && rows > 1 {
            return Err(GemmError::Overlap { columns, stride: out_row });
        }
        let needed = extent([rows, columns], [out_row, 1]).unwrap_or(usize::MAX);
        let rhs = match self.rhs {
            Rhs::Matrix(matrix) => Some((matrix.extent(), matrix.data.len())),
            Rhs::Packed(_) | Rhs::Source(_) => None,
        };
        let (mut farthest, mut bias_start) = (0, 0);
        for item in self.items {
            fits("output", item.out, needed, out_length)?;
            fits("left-hand side", item.lhs, self.lhs.extent(), self.lhs.data.len())?;
            if let Some((extent, length)) = rhs {
                fits("right-hand side", item.rhs, extent, length)?;
            }
            farthest = farthest.max(item.out);
            bias_start = bias_start.max(item.row_bias);
        }
        self.check_apart(out_row)?;
        self.epilogue.check(
            bias_start.saturating_add(rows),
            columns,
            farthest.saturating_add(needed),
        )
    }

    /// Whether the outputs of a batch are apart from each other, be it one after the other or side
    /// by side within the same rows.
    fn check_apart(&self, out_row: usize) -> Result<(), GemmError> {
        let [rows, columns] = [self.lhs.rows, self.rhs.columns()];
        if self.items.len() < 2 || rows == 0 || columns == 0 {
            return Ok(());
        }
        // A single row has no next one to run into: its outputs are just intervals.
        let (width, distance) = if rows == 1 { (1, columns) } else { (out_row, rows) };
        let mut starts: Vec<_> =
            self.items.iter().map(|item| (item.out % width, item.out / width)).collect();
        starts.sort_unstable();
        let collide = |a: (usize, usize), b: (usize, usize)| {
            if a.0 == b.0 { b.1 - a.1 < distance } else { b.0 - a.0 < columns }
        };
        let around = rows > 1
            && starts.first().zip(starts.last()).is_some_and(|(first, last)| {
                first.0 != last.0 && first.0 + out_row - last.0 < columns
            });
        if around || starts.windows(2).any(|pair| collide(pair[0], pair[1])) {
            return Err(GemmError::BatchOverlap);
        }
        Ok(())
    }
}

fn fits(what: &'static str, start: usize, extent: usize, got: usize) -> Result<(), GemmError> {
    let needed = start.checked_add(extent);
    match needed {
        Some(needed) if needed <= got => Ok(()),
        _ => Err(GemmError::TooShort { what, needed, got }),
    }
}
