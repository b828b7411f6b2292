//! Weights of four bits in blocks, each block with a scale and a zero point.
//!
//! A column's eight neighbouring values fill 32 bits, and sixteen columns a strip, so a vector load
//! brings eight steps of the depth for as many columns as it has lanes. Few rows are multiplied with
//! the values as they are expanded in registers; for more rows a strip is expanded once and shared.
#![expect(clippy::needless_range_loop, reason = "indices run over registers and addresses at once")]

#[cfg(test)]
mod tests;

use std::ops::Range;

use remuda_simd::{Isa, Kernel, Simd};

use crate::gemm::{PanelSource, STRIP};

/// Values in the 32 bits of a column.
const GROUP: usize = 8;

/// The most rows that are multiplied without expanding strips first.
const DIRECT_ROWS: usize = 4;

/// Vectors of a strip where they are shortest.
const MAX_VECTORS: usize = 4;

/// Why weights cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Int4Error {
    /// A block size that the format does not have.
    #[error("expected a block size that is a power of two and at least 16, got {got}")]
    Block {
        /// The size.
        got: usize,
    },
    /// A slice of the wrong length.
    #[error("expected {needed} elements of {what}, got {got}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// How many the shape needs.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// Sizes whose product does not fit an integer.
    #[error("expected sizes whose product fits an integer")]
    TooLarge,
}

/// The values that stand for zero, one per block.
#[derive(Debug, Clone, Copy)]
pub enum ZeroPoints<'a> {
    /// Eight everywhere.
    Middle,
    /// Four bits each, two in a byte, the blocks of a column padded to whole bytes.
    Packed(&'a [u8]),
    /// Any number each.
    Floats(&'a [f32]),
}

/// Weights as the operator `MatMulNBits` has them: for every column its blocks, for every block its
/// values along the depth, two in a byte, the first in the low bits.
#[derive(Debug, Clone, Copy)]
pub struct Int4Weights<'a> {
    /// The depth of the product.
    pub rows: usize,
    /// Columns of the product.
    pub columns: usize,
    /// Values of a block.
    pub block: usize,
    /// `[columns][blocks][block / 2]`.
    pub values: &'a [u8],
    /// `[columns][blocks]`.
    pub scales: &'a [f32],
    /// Per block.
    pub zero_points: ZeroPoints<'a>,
}

impl Int4Weights<'_> {
    fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block)
    }

    fn check(&self) -> Result<(), Int4Error> {
        if self.block < 16 || !self.block.is_power_of_two() {
            return Err(Int4Error::Block { got: self.block });
        }
        let blocks = self.columns.checked_mul(self.blocks()).ok_or(Int4Error::TooLarge)?;
        let bytes = blocks.checked_mul(self.block / 2).ok_or(Int4Error::TooLarge)?;
        let zeros = match self.zero_points {
            ZeroPoints::Middle => (0, 0),
            ZeroPoints::Packed(zeros) => (self.columns * self.blocks().div_ceil(2), zeros.len()),
            ZeroPoints::Floats(zeros) => (blocks, zeros.len()),
        };
        let lengths = [
            ("values", bytes, self.values.len()),
            ("scales", blocks, self.scales.len()),
            ("zero points", zeros.0, zeros.1),
        ];
        for (what, needed, got) in lengths {
            if needed != got {
                return Err(Int4Error::Length { what, needed, got });
            }
        }
        Ok(())
    }

    fn zero_point(&self, column: usize, block: usize) -> f32 {
        match self.zero_points {
            ZeroPoints::Middle => 8.0,
            ZeroPoints::Packed(zeros) => {
                let byte = zeros[column * self.blocks().div_ceil(2) + block / 2];
                f32::from(if block.is_multiple_of(2) { byte & 15 } else { byte >> 4 })
            }
            ZeroPoints::Floats(zeros) => zeros[column * self.blocks() + block],
        }
    }
}

/// Weights of four bits in strips.
#[derive(Debug, Clone)]
pub struct PackedInt4 {
    isa: Isa,
    rows: usize,
    columns: usize,
    block: usize,
    blocks: usize,
    /// `[strips][blocks * block / 8][STRIP]`.
    values: Vec<i32>,
    /// `[strips][blocks][STRIP]`.
    scales: Vec<f32>,
    /// As `scales`.
    zeros: Vec<f32>,
}

impl PackedInt4 {
    /// Packs the weights; `isa` is what expands them later.
    ///
    /// # Errors
    /// When lengths do not fit the shape.
    pub fn new(isa: Isa, weights: &Int4Weights<'_>) -> Result<Self, Int4Error> {
        weights.check()?;
        let Int4Weights { rows, columns, block, .. } = *weights;
        let (blocks, strips) = (weights.blocks(), columns.div_ceil(STRIP));
        let groups = blocks * block / GROUP;
        let mut values = vec![0; strips * groups * STRIP];
        let mut scales = vec![0.0; strips * blocks * STRIP];
        let mut zeros = vec![0.0; strips * blocks * STRIP];
        for column in 0..columns {
            let (strip, lane) = (column / STRIP, column % STRIP);
            let bytes = &weights.values[column * groups * size_of::<i32>()..];
            for (group, bytes) in bytes.as_chunks().0.iter().take(groups).enumerate() {
                values[(strip * groups + group) * STRIP + lane] = i32::from_le_bytes(*bytes);
            }
            for index in 0..blocks {
                let place = (strip * blocks + index) * STRIP + lane;
                scales[place] = weights.scales[column * blocks + index];
                zeros[place] = weights.zero_point(column, index);
            }
        }
        Ok(Self { isa, rows, columns, block, blocks, values, scales, zeros })
    }

    /// The memory it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of_val(&self.values[..]) + 2 * size_of_val(&self.scales[..])
    }

    /// Groups of a strip.
    fn groups(&self) -> usize {
        self.blocks * self.block / GROUP
    }

    fn scales(&self, strip: usize, block: usize) -> Range<usize> {
        let start = (strip * self.blocks + block) * STRIP;
        start..start + STRIP
    }
}

impl PanelSource for PackedInt4 {
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
            self.isa.run(Expand { weights: self, strip, rows: rows.clone(), out });
        }
    }

    fn direct_rows(&self) -> usize {
        DIRECT_ROWS
    }

    fn multiply(&self, _: usize, lhs: &[f32], strips: Range<usize>, out: &mut [f32]) {
        self.isa.run(Multiply { weights: self, lhs, strips, out });
    }
}

/// The values at one place of each group.
#[inline(always)]
fn nibble<S: Simd>(simd: S, group: S::I32, index: usize) -> S::F32 {
    let shifted = match index {
        0 => group,
        1 => simd.shr_logical::<4>(group),
        2 => simd.shr_logical::<8>(group),
        3 => simd.shr_logical::<12>(group),
        4 => simd.shr_logical::<16>(group),
        5 => simd.shr_logical::<20>(group),
        6 => simd.shr_logical::<24>(group),
        _ => simd.shr_logical::<28>(group),
    };
    simd.to_f32(simd.and_i32(shifted, simd.splat_i32(15)))
}

/// Expands rows of a strip, `[rows][STRIP]`.
struct Expand<'a> {
    weights: &'a PackedInt4,
    strip: usize,
    rows: Range<usize>,
    out: &'a mut [f32],
}

impl Kernel for Expand<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let weights = self.weights;
        let first = self.strip * weights.groups();
        for group in self.rows.start / GROUP..self.rows.end.div_ceil(GROUP) {
            let per_block = weights.scales(self.strip, group * GROUP / weights.block);
            let (scales, zeros) = (&weights.scales[per_block.clone()], &weights.zeros[per_block]);
            let values = &weights.values[(first + group) * STRIP..][..STRIP];
            for lane in (0..STRIP).step_by(S::LANES) {
                let value = simd.load_i32(&values[lane..]);
                let (scale, zero) = (simd.load(&scales[lane..]), simd.load(&zeros[lane..]));
                for index in 0..GROUP {
                    let row = group * GROUP + index;
                    if self.rows.contains(&row) {
                        let number = simd.sub(nibble(simd, value, index), zero);
                        let place = (row - self.rows.start) * STRIP + lane;
                        simd.store(simd.mul(number, scale), &mut self.out[place..]);
                    }
                }
            }
        }
    }
}

/// Multiplies few rows with strips, `[rows][strips][STRIP]`.
struct Multiply<'a> {
    weights: &'a PackedInt4,
    /// Rows of the whole depth, one after the other.
    lhs: &'a [f32],
    strips: Range<usize>,
    out: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        match self.lhs.len() / self.weights.rows.max(1) {
            1 => self.rows::<S, 1, 4>(simd),
            2 => self.rows::<S, 2, 2>(simd),
            3 => self.rows::<S, 3, 2>(simd),
            _ => self.rows::<S, 4, 2>(simd),
        }
    }
}

impl Multiply<'_> {
    /// `R` rows, as many as there are, with up to `T` strips at a time: as many streams of memory.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const T: usize>(&mut self, simd: S) {
        let mut strip = self.strips.start;
        while strip + T <= self.strips.end {
            self.strips::<S, R, T>(simd, strip);
            strip += T;
        }
        while strip < self.strips.end {
            self.strips::<S, R, 1>(simd, strip);
            strip += 1;
        }
    }

    #[inline(always)]
    fn strips<S: Simd, const R: usize, const T: usize>(&mut self, simd: S, first: usize) {
        let width = self.strips.len() * STRIP;
        for lane in (0..STRIP).step_by(S::LANES * if S::LANES < 8 { 2 } else { 1 }) {
            let sums = self.lanes::<S, R, T>(simd, first, lane);
            for r in 0..R {
                for t in 0..T {
                    for v in 0..Self::vectors::<S>() {
                        let place = r * width + (first + t - self.strips.start) * STRIP + lane;
                        simd.store(sums[r][t][v], &mut self.out[place + v * S::LANES..]);
                    }
                }
            }
        }
    }

    /// Vectors of a strip that are computed together.
    #[inline(always)]
    const fn vectors<S: Simd>() -> usize {
        if S::LANES < 8 { 2 } else { 1 }
    }

    /// Sums of some lanes of `T` strips. Within a block the plain values are summed; the zero point
    /// takes its part out with the sum of the row, and the scale comes last.
    #[inline(always)]
    fn lanes<S: Simd, const R: usize, const T: usize>(
        &self,
        simd: S,
        first: usize,
        lane: usize,
    ) -> [[[S::F32; MAX_VECTORS]; T]; R] {
        let weights = self.weights;
        let depth = weights.rows;
        let mut totals = [[[simd.zero(); MAX_VECTORS]; T]; R];
        for block in 0..weights.blocks {
            let mut sums = [[[simd.zero(); MAX_VECTORS]; T]; R];
            let mut row_sums = [0.0; R];
            let start = block * weights.block;
            let end = (start + weights.block).min(depth);
            for group in start / GROUP..end.div_ceil(GROUP) {
                let count = GROUP.min(end - group * GROUP);
                let mut values = [[0.0; GROUP]; R];
                for r in 0..R {
                    let row = &self.lhs[r * depth + group * GROUP..][..count];
                    values[r][..count].copy_from_slice(row);
                    row_sums[r] += values[r].iter().sum::<f32>();
                }
                for t in 0..T {
                    let strip = (first + t) * weights.groups() + group;
                    let packed = &weights.values[strip * STRIP..][..STRIP];
                    for v in 0..Self::vectors::<S>() {
                        let packed = simd.load_i32(&packed[lane + v * S::LANES..]);
                        for index in 0..GROUP {
                            let number = nibble(simd, packed, index);
                            for r in 0..R {
                                let factor = simd.splat(values[r][index]);
                                sums[r][t][v] = simd.mul_add(factor, number, sums[r][t][v]);
                            }
                        }
                    }
                }
            }
            for t in 0..T {
                let per_block = weights.scales(first + t, block);
                for v in 0..Self::vectors::<S>() {
                    let place = per_block.start + lane + v * S::LANES;
                    let scale = simd.load(&weights.scales[place..]);
                    let zero = simd.load(&weights.zeros[place..]);
                    for r in 0..R {
                        let row_sum = simd.splat(row_sums[r]);
                        let sum = simd.neg_mul_add(row_sum, zero, sums[r][t][v]);
                        totals[r][t][v] = simd.mul_add(sum, scale, totals[r][t][v]);
                    }
                }
            }
        }
        totals
    }
}
