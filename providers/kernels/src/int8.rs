//! Exact products of bytes, `sum (a - za) (b - zb)` in 32 bits, and what quantised operators make
//! of them.
//!
//! Either side may be signed or unsigned, with a zero point per tensor, per row of the left-hand
//! side or per column of the right-hand side. Packed rows meet packed strips; see `bytes` for how
//! signedness is arranged and `dot` for the instructions.
#![expect(
    unsafe_code,
    reason = "instructions proven by tokens, and outputs written by several threads"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "values are cut to their range before, and depths are far below 2^31"
)]

mod blocked;
mod bytes;
mod dot;
mod output;
#[cfg(test)]
mod tests;
mod tile;

pub use bytes::{ByteMatrix, ByteSource, Bytes, PackedColumns, PackedRows};
pub(crate) use bytes::{QUAD, strip_bytes};
pub use output::{Dequantize, Output, Per, Requantize};

use crate::Context;
use crate::gemm::extent;

use blocked::Job;
use output::Target;

/// Operands that do not fit each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ByteError {
    /// The inner sizes differ.
    #[error("expected a right-hand side of {expected} rows, got {got}")]
    Depth {
        /// Depth of the left-hand side.
        expected: usize,
        /// Rows of the right-hand side.
        got: usize,
    },
    /// A slice does not hold what its shape says.
    #[error("expected a {what} of {} elements, got {got}", needed.map_or("too many".to_owned(), |n| n.to_string()))]
    TooShort {
        /// Which slice.
        what: &'static str,
        /// How many elements are needed, if that fits an integer.
        needed: Option<usize>,
        /// How many there are.
        got: usize,
    },
    /// Rows packed for right-hand sides of the other signedness.
    #[error("expected rows packed for a right-hand side that is {}", if *signed { "signed" } else { "unsigned" })]
    Signedness {
        /// Whether the right-hand side is signed.
        signed: bool,
    },
    /// Outputs that overlap.
    #[error("expected rows and items of the output that do not overlap")]
    Overlap,
}

/// The right-hand side.
#[derive(Clone, Copy)]
pub enum ByteRhs<'a> {
    /// Packed in advance, shared by the items of a batch.
    Packed(&'a PackedColumns),
    /// Writes its own strips; it is told the offset of the item.
    Source(&'a dyn ByteSource),
}

impl std::fmt::Debug for ByteRhs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if matches!(self, Self::Packed(_)) { "Packed" } else { "Source" };
        write!(f, "ByteRhs::{kind}({} x {})", self.rows(), self.columns())
    }
}

impl ByteRhs<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.rows,
            Self::Source(source) => source.rows(),
        }
    }

    fn columns(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.columns,
            Self::Source(source) => source.columns(),
        }
    }

    fn is_signed(&self) -> bool {
        match self {
            Self::Packed(packed) => packed.is_signed,
            Self::Source(source) => source.is_signed(),
        }
    }
}

/// Where an item of a batch lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteOffsets {
    /// Its first row among the packed rows.
    pub lhs_row: usize,
    /// Start of its right-hand side.
    pub rhs: usize,
    /// Start of its output.
    pub out: usize,
    /// Its first row in zero points, scales and biases that are per row.
    pub bias_row: usize,
}

/// A product of bytes, or a batch of products of one shape.
#[derive(Debug, Clone, Copy)]
pub struct ByteProduct<'a> {
    /// The left-hand rows of all items.
    pub lhs: &'a PackedRows,
    /// Rows of one item.
    pub rows: usize,
    /// Zero point of the left-hand side: per tensor or per row, as scales are.
    pub lhs_zero: Per<'a, i32>,
    /// The right-hand side.
    pub rhs: ByteRhs<'a>,
    /// Zero point of the right-hand side: per tensor or per column.
    pub rhs_zero: Per<'a, i32>,
    /// Where the items lie; `&[ByteOffsets::default()]` is a single product.
    pub items: &'a [ByteOffsets],
}

impl ByteProduct<'_> {
    /// Computes into `output`, whose rows are `out_row` elements apart.
    ///
    /// # Errors
    /// When sizes do not fit each other or a slice is too short; nothing has been written then.
    pub fn run(
        &self,
        context: Context<'_>,
        output: Output<'_>,
        out_row: usize,
    ) -> Result<(), ByteError> {
        self.check(&output, out_row)?;
        let columns = self.rhs.columns();
        if self.rows == 0 || columns == 0 || self.items.is_empty() {
            return Ok(());
        }
        let job = Job {
            context,
            lhs: self.lhs,
            lhs_zero: self.lhs_zero,
            rhs: self.rhs,
            rhs_zero: self.rhs_zero,
            rows: self.rows,
            columns,
            target: Target::new(output),
            out_row,
            items: self.items,
        };
        // SAFETY: `check` has shown that items lie within their operands and outputs are apart.
        unsafe { job.run() };
        Ok(())
    }

    fn check(&self, output: &Output<'_>, out_row: usize) -> Result<(), ByteError> {
        let (rows, columns) = (self.rows, self.rhs.columns());
        if self.lhs.depth != self.rhs.rows() {
            return Err(ByteError::Depth { expected: self.lhs.depth, got: self.rhs.rows() });
        }
        if self.lhs.is_signed == self.rhs.is_signed() {
            return Err(ByteError::Signedness { signed: self.rhs.is_signed() });
        }
        let needed = extent([rows, columns], [out_row, 1]);
        let fits = |what, start: usize, extent: Option<usize>, got| {
            let needed = extent.and_then(|extent| start.checked_add(extent));
            match needed {
                Some(needed) if needed <= got => Ok(()),
                _ => Err(ByteError::TooShort { what, needed, got }),
            }
        };
        let mut bias_rows = rows;
        for item in self.items {
            fits("output", item.out, needed, output.len())?;
            fits("left-hand side", item.lhs_row, Some(rows), self.lhs.rows)?;
            bias_rows = bias_rows.max(item.bias_row.saturating_add(rows));
        }
        let mut starts: Vec<_> = self.items.iter().map(|item| item.out).collect();
        starts.sort_unstable();
        let apart = starts.windows(2).all(|pair| pair[1] - pair[0] >= needed.unwrap_or(0));
        if !apart || (out_row < columns && rows > 1) {
            return Err(ByteError::Overlap);
        }
        self.lhs_zero.check("zero point", [bias_rows, bias_rows])?;
        self.rhs_zero.check("zero point", [columns, columns])?;
        output.check([bias_rows, columns])
    }
}
