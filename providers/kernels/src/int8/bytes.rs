//! Matrices of bytes, signed or not, and their packed forms.
//!
//! The dot product of the instruction sets takes one unsigned and one signed operand. Strips are
//! kept as they are; rows are given the other signedness by flipping the sign bit, which adds or
//! takes away 128 and is undone by the zero point.

use std::ops::Range;

use remuda_simd::{Kernel, Simd};

use super::ByteError;
use super::tile;
use crate::Context;
use crate::context::Picoseconds;
use crate::gemm::STRIP;

/// Steps of the depth that one dot product takes.
pub(crate) const QUAD: usize = 4;

/// Bytes of either signedness.
#[derive(Debug, Clone, Copy)]
pub enum Bytes<'a> {
    /// `0..=255`.
    U8(&'a [u8]),
    /// `-128..=127`.
    I8(&'a [i8]),
}

impl<'a> Bytes<'a> {
    /// Whether they are signed.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::I8(_))
    }

    /// The bits of all of them.
    pub(crate) fn as_u8(self) -> &'a [u8] {
        match self {
            Self::U8(bytes) => bytes,
            // SAFETY: signed and unsigned bytes have the same size and every bit pattern is valid.
            Self::I8(bytes) => unsafe {
                std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len())
            },
        }
    }

    pub(crate) fn len(self) -> usize {
        match self {
            Self::U8(bytes) => bytes.len(),
            Self::I8(bytes) => bytes.len(),
        }
    }

    /// The bits of one of them.
    #[inline]
    pub(crate) fn bits(self, index: usize) -> u8 {
        match self {
            Self::U8(bytes) => bytes[index],
            Self::I8(bytes) => bytes[index].cast_unsigned(),
        }
    }
}

/// A matrix of bytes: element (row, column) is at `row * row_stride + column * column_stride`.
#[derive(Debug, Clone, Copy)]
pub struct ByteMatrix<'a> {
    bytes: Bytes<'a>,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> ByteMatrix<'a> {
    /// A matrix whose rows lie one after the other.
    ///
    /// # Errors
    /// When there are too few bytes.
    pub fn new(bytes: Bytes<'a>, rows: usize, columns: usize) -> Result<Self, ByteError> {
        Self::strided(bytes, [rows, columns], [columns, 1])
    }

    /// A matrix with any strides.
    ///
    /// # Errors
    /// When an element would lie outside.
    pub fn strided(
        bytes: Bytes<'a>,
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Result<Self, ByteError> {
        let needed = crate::gemm::extent([rows, columns], [row_stride, column_stride]);
        if needed.is_none_or(|needed| needed > bytes.len()) {
            return Err(ByteError::TooShort { what: "matrix", needed, got: bytes.len() });
        }
        Ok(Self { bytes, rows, columns, row_stride, column_stride })
    }
}

/// A right-hand side that can be written as strips.
pub trait ByteSource: Sync {
    /// How many rows: the depth of the product.
    fn rows(&self) -> usize;

    /// How many columns.
    fn columns(&self) -> usize;

    /// Whether its bytes are signed.
    fn is_signed(&self) -> bool;

    /// Writes `strips`, `[rows / 4][STRIP][4]` each: four neighbouring rows of a column side by
    /// side.
    ///
    /// Rows past the last are written as zeros; columns past the last may hold anything. `start` is
    /// where the item of a batch begins.
    fn pack(&self, start: usize, strips: Range<usize>, out: &mut [u8]);
}

/// Bytes of a strip of so many rows.
pub(crate) fn strip_bytes(rows: usize) -> usize {
    rows.div_ceil(QUAD) * QUAD * STRIP
}

impl ByteSource for ByteMatrix<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn is_signed(&self) -> bool {
        self.bytes.is_signed()
    }

    fn pack(&self, start: usize, strips: Range<usize>, out: &mut [u8]) {
        if self.rows == 0 {
            return;
        }
        for (strip, out) in strips.zip(out.chunks_exact_mut(strip_bytes(self.rows))) {
            let first = strip * STRIP;
            let width = STRIP.min(self.columns - first);
            if width < STRIP || !self.rows.is_multiple_of(QUAD) {
                out.fill(0);
            }
            for row in 0..self.rows {
                let from = start + row * self.row_stride + first * self.column_stride;
                let out = &mut out[row / QUAD * QUAD * STRIP + row % QUAD..];
                for column in 0..width {
                    out[column * QUAD] = self.bytes.bits(from + column * self.column_stride);
                }
            }
        }
    }
}

/// A right-hand side packed once, with the sum of each column.
#[derive(Debug, Clone)]
pub struct PackedColumns {
    pub(crate) bytes: Vec<u8>,
    /// One per column, whole strips.
    pub(crate) sums: Vec<i32>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) is_signed: bool,
}

impl PackedColumns {
    /// Packs any source.
    #[must_use]
    pub fn new(context: Context<'_>, source: &dyn ByteSource) -> Self {
        let (rows, columns, is_signed) = (source.rows(), source.columns(), source.is_signed());
        let strips = columns.div_ceil(STRIP);
        let mut bytes = vec![0; strips * strip_bytes(rows)];
        source.pack(0, 0..strips, &mut bytes);
        let mut sums = vec![0; strips * STRIP];
        for (strip, sums) in sums.chunks_exact_mut(STRIP).enumerate() {
            let bytes = &bytes[strip * strip_bytes(rows)..][..strip_bytes(rows)];
            tile::column_sums(context.isa, bytes, is_signed, sums);
        }
        Self { bytes, sums, rows, columns, is_signed }
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
}

/// Left-hand rows: contiguous, padded to whole quads, of the signedness that the right-hand side
/// has not, with the sum of each row.
#[derive(Debug, Clone)]
pub struct PackedRows {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sums: Vec<i32>,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    /// What flipping the sign bits has added to every element.
    pub(crate) shift: i32,
    pub(crate) is_signed: bool,
}

impl PackedRows {
    /// Packs matrices of one shape, one after the other, for right-hand sides of the signedness
    /// `rhs_is_signed`; `starts` says where in the bytes of `matrix` each of them begins.
    ///
    /// # Errors
    /// When one of them would lie outside.
    pub fn new(
        context: Context<'_>,
        matrix: ByteMatrix<'_>,
        starts: &[usize],
        rhs_is_signed: bool,
    ) -> Result<Self, ByteError> {
        let ByteMatrix { bytes, rows: each, columns: depth, row_stride, column_stride } = matrix;
        let extent = crate::gemm::extent([each, depth], [row_stride, column_stride]).unwrap_or(0);
        for start in starts {
            let needed = start.checked_add(extent);
            if needed.is_none_or(|needed| needed > bytes.len()) {
                let what = "left-hand side";
                return Err(ByteError::TooShort { what, needed, got: bytes.len() });
            }
        }
        let rows = each * starts.len();
        let padded = depth.next_multiple_of(QUAD).max(QUAD);
        let flip = if bytes.is_signed() == rhs_is_signed { 0x80 } else { 0 };
        let shift = match (flip, rhs_is_signed) {
            (0, _) => 0,
            (_, true) => 128,
            (_, false) => -128,
        };
        let mut packed = vec![0; rows * padded];
        let mut sums = vec![0; rows];
        let cost = Picoseconds(40 * padded);
        context.piece_pairs((&mut sums, 1), (&mut packed, padded), cost, |first, sums, packed| {
            context.run(PackRows {
                bytes,
                stride: column_stride,
                flip,
                is_signed: !rhs_is_signed,
                depth,
                starts: |row| starts[(first + row) / each] + (first + row) % each * row_stride,
                packed,
                sums,
            });
        });
        Ok(Self { bytes: packed, sums, rows, depth, shift, is_signed: !rhs_is_signed })
    }

    /// Bytes of a row.
    pub(crate) fn padded(&self) -> usize {
        self.depth.next_multiple_of(QUAD).max(QUAD)
    }
}

/// Some rows and their sums.
struct PackRows<'a, F> {
    bytes: Bytes<'a>,
    stride: usize,
    flip: u8,
    /// Whether the packed bytes are.
    is_signed: bool,
    depth: usize,
    /// Where each of the rows begins.
    starts: F,
    packed: &'a mut [u8],
    sums: &'a mut [i32],
}

impl<F: Fn(usize) -> usize> Kernel for PackRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { bytes, stride, flip, depth, .. } = self;
        let padded = self.packed.len() / self.sums.len();
        let rows = self.packed.chunks_exact_mut(padded).zip(self.sums).enumerate();
        for (row, (out, sum)) in rows {
            let out = &mut out[..depth];
            let start = (self.starts)(row);
            if stride == 1 {
                let bytes = &bytes.as_u8()[start..start + depth];
                out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte ^ flip);
            } else {
                for (index, out) in out.iter_mut().enumerate() {
                    *out = bytes.bits(start + index * stride) ^ flip;
                }
            }
            *sum = if self.is_signed {
                out.iter().fold(0, |sum: i32, byte| sum.wrapping_add(i32::from(byte.cast_signed())))
            } else {
                out.iter().fold(0, |sum: i32, byte| sum.wrapping_add(i32::from(*byte)))
            };
        }
    }
}
