//! Cuts a product of bytes into units for threads and tiles for registers.
//!
//! The whole depth of a tile is summed at once: bytes are small enough for its operands to stay in
//! the second-level cache.

use std::ops::Range;

use remuda_simd::{Kernel, Simd};

use super::bytes::{PackedRows, strip_bytes};
use super::output::{Per, Target};
use super::tile::{MAX_ROWS, MAX_STRIPS, Method, Sums, Tile, column_sums};
use super::{ByteOffsets, ByteRhs};
use crate::Context;
use crate::gemm::STRIP;
use crate::pool::Schedule;
use crate::scratch::with_scratch;

/// Byte products per nanosecond, roughly, for deciding on threads.
const PRODUCTS_PER_NS: usize = 100;
/// A unit shorter than this is not worth another thread's attention.
const UNIT_NS: usize = 4_000;

/// A checked product.
pub(super) struct Job<'a> {
    pub(super) context: Context<'a>,
    pub(super) lhs: &'a PackedRows,
    pub(super) lhs_zero: Per<'a, i32>,
    pub(super) rhs: ByteRhs<'a>,
    pub(super) rhs_zero: Per<'a, i32>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) target: Target<'a>,
    pub(super) out_row: usize,
    pub(super) items: &'a [ByteOffsets],
}

/// What one call of a thread computes.
struct Unit {
    item: ByteOffsets,
    rows: Range<usize>,
    strips: Range<usize>,
}

impl Job<'_> {
    /// Computes all items.
    ///
    /// # Safety
    /// Every item lies within its operands, and outputs of items do not overlap.
    pub(super) unsafe fn run(&self) {
        let strips = self.columns.div_ceil(STRIP);
        let method = Method::of(self.context.isa);
        let wanted = self.wanted_units();
        let panels = self.rows.div_ceil(method.strips().len());
        // Whole groups of strips, so that tiles are full.
        let group = method.strips()[self.rows.min(method.strips().len()) - 1];
        let groups = strips.div_ceil(group);
        let strip_parts = groups.min(wanted);
        let row_parts = wanted.min(2 * self.context.pool.size()).div_ceil(strip_parts).min(panels);
        let parts = strip_parts * row_parts;
        let pool = self.context.pool;
        pool.parallel_for(self.items.len() * parts, Schedule::Static, |index| {
            let groups = part(groups, strip_parts, index % strip_parts);
            let unit = Unit {
                item: self.items[index / parts],
                rows: part(self.rows, row_parts, index % parts / strip_parts),
                strips: groups.start * group..(groups.end * group).min(strips),
            };
            // SAFETY: passed on; units of an item cover different rows or strips.
            unsafe { self.run_unit(method, &unit) };
        });
    }

    fn wanted_units(&self) -> usize {
        let threads = self.context.pool.size();
        let products = self.rows.saturating_mul(self.columns).saturating_mul(self.lhs.depth);
        let most = (4 * threads).div_ceil(self.items.len());
        if threads == 1 { 1 } else { (products / PRODUCTS_PER_NS / UNIT_NS).clamp(1, most) }
    }

    unsafe fn run_unit(&self, method: Method, unit: &Unit) {
        let most = method.strips()[unit.rows.len().min(method.strips().len()) - 1];
        let bytes = strip_bytes(self.lhs.depth);
        let mut strip = unit.strips.start;
        while strip < unit.strips.end {
            let group = strip..(strip + most).min(unit.strips.end);
            strip = group.end;
            match self.rhs {
                ByteRhs::Packed(packed) => {
                    let sums = &packed.sums[group.start * STRIP..group.end * STRIP];
                    let strips = &packed.bytes[group.start * bytes..group.end * bytes];
                    // SAFETY: passed on.
                    unsafe { self.run_group(method, unit, group, (strips, sums)) };
                }
                ByteRhs::Source(source) => {
                    with_scratch((group.len() * bytes).div_ceil(4), |room| {
                        let strips = as_bytes(room);
                        let strips = &mut strips[..group.len() * bytes];
                        source.pack(unit.item.rhs, group.clone(), strips);
                        let sums = self.sums_of(strips, bytes);
                        let sums = &sums[..group.len() * STRIP];
                        // SAFETY: passed on.
                        unsafe { self.run_group(method, unit, group, (strips, sums)) };
                    });
                }
            }
        }
    }

    /// Column sums of strips, where a zero point of the left-hand side makes them needed.
    fn sums_of(&self, strips: &[u8], bytes: usize) -> [i32; MAX_STRIPS * STRIP] {
        let mut sums = [0; MAX_STRIPS * STRIP];
        let needed = !matches!(self.lhs_zero, Per::Tensor(zero) if zero + self.lhs.shift == 0);
        if needed && bytes > 0 {
            for (strip, sums) in strips.chunks_exact(bytes).zip(sums.chunks_exact_mut(STRIP)) {
                column_sums(self.context.isa, strip, self.rhs.is_signed(), sums);
            }
        }
        sums
    }

    /// All rows of a unit times one group of strips.
    unsafe fn run_group(
        &self,
        method: Method,
        unit: &Unit,
        group: Range<usize>,
        (strips, column_sums): (&[u8], &[i32]),
    ) {
        let padded = self.lhs.padded();
        let panels = unit.rows.len().div_ceil(method.strips().len());
        let step = unit.rows.len().div_ceil(panels);
        let column = group.start * STRIP;
        let width = (group.len() * STRIP).min(self.columns - column);
        let mut sums: Sums = [0; MAX_ROWS * MAX_STRIPS * STRIP];
        for row in unit.rows.clone().step_by(step) {
            let rows = step.min(unit.rows.end - row);
            let tile = Tile {
                rows: &self.lhs.bytes[(unit.item.lhs_row + row) * padded..][..rows * padded],
                depth: if self.lhs.depth == 0 { 0 } else { padded },
                strips,
                strip_signed: self.rhs.is_signed(),
            };
            method.run(&tile, [rows, group.len()], &mut sums);
            let stride = group.len() * STRIP;
            let first = [unit.item.lhs_row + row, unit.item.bias_row + row];
            let sums = &mut sums[..rows * stride];
            self.correct(first, column..column + width, column_sums, sums);
            for (r, sums) in sums.chunks_exact(stride).enumerate() {
                let sums = &sums[..width];
                let scale_row = unit.item.bias_row + row + r;
                let start = unit.item.out + (row + r) * self.out_row + column;
                // SAFETY: passed on: this row and these columns belong to the unit.
                unsafe {
                    self.target.write(self.context.isa, start, [scale_row, column], sums);
                };
            }
        }
    }

    /// The zero points' part in the sums of a tile, whose rows are as long as `column_sums`:
    /// `sum (a - za)(b - zb) = sum ab - za sum b - zb (sum a - depth za)`.
    fn correct(
        &self,
        [lhs_row, scale_row]: [usize; 2],
        columns: Range<usize>,
        column_sums: &[i32],
        sums: &mut [i32],
    ) {
        let (zb, zbs) = match self.rhs_zero {
            Per::Tensor(zb) => (zb, None),
            Per::Row(zeros) | Per::Column(zeros) => (0, Some(&zeros[columns])),
        };
        let mut factors = [Factors::default(); MAX_ROWS];
        let rows = sums.len() / column_sums.len();
        for (r, factors) in factors[..rows].iter_mut().enumerate() {
            let za = match self.lhs_zero {
                Per::Tensor(zero) => zero,
                Per::Row(zeros) | Per::Column(zeros) => zeros[scale_row + r],
            }
            .wrapping_add(self.lhs.shift);
            let shift = (self.lhs.depth as i32).wrapping_mul(za);
            *factors = Factors { za, rest: self.lhs.sums[lhs_row + r].wrapping_sub(shift) };
        }
        let factors = &factors[..rows];
        if zb != 0 || zbs.is_some() || factors.iter().any(|factors| factors.za != 0) {
            self.context.run(Correct { sums, column_sums, factors, zb, zbs });
        }
    }
}

/// What the sums of one row are corrected by.
#[derive(Debug, Clone, Copy, Default)]
struct Factors {
    za: i32,
    rest: i32,
}

/// `sums - za * column_sums - zb * rest`, with one `zb` or one per column that exists.
struct Correct<'a> {
    sums: &'a mut [i32],
    column_sums: &'a [i32],
    factors: &'a [Factors],
    zb: i32,
    zbs: Option<&'a [i32]>,
}

impl Kernel for Correct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut zbs = [self.zb; MAX_STRIPS * STRIP];
        if let Some(each) = self.zbs {
            zbs[..each.len()].copy_from_slice(each);
        }
        let rows = self.sums.chunks_exact_mut(self.column_sums.len());
        for (sums, factors) in rows.zip(self.factors) {
            let (za, rest) = (simd.splat_i32(factors.za), simd.splat_i32(factors.rest));
            let vectors = sums.chunks_exact_mut(S::LANES);
            let others = self.column_sums.chunks_exact(S::LANES).zip(zbs.chunks_exact(S::LANES));
            for (sums, (columns, zbs)) in vectors.zip(others) {
                let value = simd.load_i32(sums);
                let value = simd.sub_i32(value, simd.mul_i32(za, simd.load_i32(columns)));
                let value = simd.sub_i32(value, simd.mul_i32(rest, simd.load_i32(zbs)));
                simd.store_i32(value, sums);
            }
        }
    }
}

fn part(count: usize, parts: usize, index: usize) -> Range<usize> {
    index * count / parts..(index + 1) * count / parts
}

fn as_bytes(floats: &mut [f32]) -> &mut [u8] {
    let length = size_of_val(floats);
    // SAFETY: every float is four initialised bytes, and any bytes are a float.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), length) }
}
