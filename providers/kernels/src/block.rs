//! Products with weights in the block formats of GGUF files, and with 16-bit floats.
//!
//! Weights are packed once ([`pack`]), or used as the file has them where a format is rare.
//! Activations are quantised once per input ([`Activations`]) and shared by every matrix that has
//! it. [`multiply`] then reads weights at the speed of memory for a few tokens, and computes at the
//! speed of the byte dot product for many. A token's result does not depend on the tokens beside it
//! or on the number of threads, bit for bit.
#![expect(
    unsafe_code,
    reason = "instructions proven by tokens, and outputs written by several threads"
)]
#![expect(clippy::needless_range_loop, reason = "indices run over registers and addresses at once")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "values are cut to their few bits before, and places are below 256"
)]

mod activations;
mod few;
mod float;
mod format;
mod fused;
mod lanes;
mod many;
mod needs;
mod output;
mod pack;
mod plain;
mod product;
mod recipe;
#[cfg(test)]
mod tests;

use crate::Context;

pub use activations::{Activations, Grain};
pub use format::Format;
pub use needs::scratch_bytes;
pub use pack::{PACKED_LAYOUT, pack};
pub use plain::Codec;

use output::Output;
use product::Job;

/// Operands that do not fit each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A slice of the wrong length.
    #[error("expected {} {what}, got {got}", needed.map_or("a possible number of".to_owned(), |n| n.to_string()))]
    Length {
        /// What it holds.
        what: &'static str,
        /// How many the sizes say, if they are possible: a depth of whole blocks, and no overflow.
        needed: Option<usize>,
        /// How many there are.
        got: usize,
    },
    /// Activations of another depth.
    #[error("expected activations of {expected} values, got {got}")]
    Depth {
        /// The depth of the weights.
        expected: usize,
        /// That of the activations.
        got: usize,
    },
    /// Activations that were quantised for other formats.
    #[error("expected activations of grain {expected:?}, got {got:?}")]
    Grain {
        /// What the weights need.
        expected: Grain,
        /// What there is.
        got: Grain,
    },
    /// Rows of the output would overlap.
    #[error("expected tokens that are at least {rows} outputs apart, got {stride}")]
    Overlap {
        /// Rows of the weights.
        rows: usize,
        /// The distance asked for.
        stride: usize,
    },
}

impl BlockError {
    fn check_length(what: &'static str, needed: Option<usize>, got: usize) -> Result<(), Self> {
        if needed == Some(got) { Ok(()) } else { Err(Self::Length { what, needed, got }) }
    }
}

/// How weights lie in memory.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Packed(Format),
    Plain(Codec),
}

/// A matrix of weights: `rows` outputs, each a row of `depth` values.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    layout: Layout,
    rows: usize,
    depth: usize,
    bytes: &'a [u8],
}

impl<'a> Weights<'a> {
    /// Weights that [`pack`] has packed; they are read fastest from an address that is a multiple of
    /// 64.
    ///
    /// # Errors
    /// When the bytes are not as many as the sizes say.
    pub fn packed(
        format: Format,
        [rows, depth]: [usize; 2],
        bytes: &'a [u8],
    ) -> Result<Self, BlockError> {
        let needed = format.packed_bytes(rows, depth);
        BlockError::check_length("packed bytes", needed, bytes.len())?;
        Ok(Self { layout: Layout::Packed(format), rows, depth, bytes })
    }

    /// Weights as a file has them, in any format.
    ///
    /// # Errors
    /// When the bytes are not as many as the sizes say.
    pub fn plain(
        codec: Codec,
        [rows, depth]: [usize; 2],
        bytes: &'a [u8],
    ) -> Result<Self, BlockError> {
        let needed = codec.row_bytes(depth).and_then(|bytes| bytes.checked_mul(rows));
        BlockError::check_length("bytes in the file", needed, bytes.len())?;
        Ok(Self { layout: Layout::Plain(codec), rows, depth, bytes })
    }

    /// The activations that they are multiplied with.
    #[must_use]
    pub fn grain(&self) -> Grain {
        match self.layout {
            Layout::Packed(format) => format.grain(),
            Layout::Plain(_) => Grain::Float,
        }
    }

    /// Outputs.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// Multiplies every token with every row: `out[token * stride + row]`.
///
/// # Errors
/// When operands do not fit each other; nothing has been written then.
pub fn multiply(
    cx: Context<'_>,
    weights: &Weights<'_>,
    tokens: &Activations,
    out: &mut [f32],
    stride: usize,
) -> Result<(), BlockError> {
    let (rows, count) = (weights.rows, tokens.count());
    if tokens.depth() != weights.depth {
        return Err(BlockError::Depth { expected: weights.depth, got: tokens.depth() });
    }
    if tokens.grain() != weights.grain() {
        return Err(BlockError::Grain { expected: weights.grain(), got: tokens.grain() });
    }
    if stride < rows {
        return Err(BlockError::Overlap { rows, stride });
    }
    let needed =
        count.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(rows));
    if needed.is_none_or(|needed| out.len() < needed) {
        return Err(BlockError::Length { what: "outputs", needed, got: out.len() });
    }
    if rows > 0 && count > 0 {
        Job { cx, weights, tokens, output: Output::new(out, [rows, count], stride) }.run();
    }
    Ok(())
}
