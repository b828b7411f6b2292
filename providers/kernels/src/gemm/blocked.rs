//! Cuts a product into units of work for threads, and a unit into tiles.
//!
//! Within a unit the depth is cut into blocks: for each block, for each group of strips, all rows.
//! So a group of strips stays in the nearest cache while the rows pass by, and the rows of one
//! block of the depth stay in the second level while the strips pass by.

use std::ops::Range;

use remuda_simd::Isa;

use super::activate::activate;
use super::epilogue::Epilogue;
use super::matrix::Matrix;
use super::narrow::{self, Dots};
use super::shapes::Shapes;
use super::source::{PanelSource, STRIP};
use super::tile::{Finish, Tile, finish_row};
use super::{PackedB, Rhs};
use crate::pool::{Schedule, Shared, ThreadPool};
use crate::scratch::with_scratch;

/// Longest block of the depth: a strip of it takes 32 KiB, a pass over the output little time.
const DEPTH: usize = 512;
/// Rows of a block that are reused from the second-level cache.
const ROWS: usize = 512;
/// A unit shorter than this is not worth another thread's attention.
const UNIT_NS: f64 = 4_000.0;

/// Where the elements of one product lie within the slices: one per item of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offsets {
    /// Start of the left-hand matrix.
    pub lhs: usize,
    /// Start of the right-hand matrix.
    pub rhs: usize,
    /// Start of the output, and of a residual.
    pub out: usize,
    /// Start of the row bias.
    pub row_bias: usize,
}

/// A checked product.
pub(super) struct Job<'a> {
    pub(super) isa: Isa,
    /// Of the first item; the others differ in their offsets.
    pub(super) lhs: Matrix<'a>,
    pub(super) rhs: Rhs<'a>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    pub(super) out: Shared<f32>,
    pub(super) out_row: usize,
    pub(super) epilogue: Epilogue<'a>,
    pub(super) items: &'a [Offsets],
}

/// What one call of a thread computes: rows times strips of one item.
struct Unit {
    item: Offsets,
    rows: Range<usize>,
    strips: Range<usize>,
}

/// How each item is cut.
struct Grid {
    row_parts: usize,
    strip_parts: usize,
    /// Strips that are computed together.
    group: usize,
}

impl Job<'_> {
    /// Computes all items.
    ///
    /// # Safety
    /// The operands of every item lie within their slices, the outputs of items do not overlap and
    /// nobody else uses them.
    pub(super) unsafe fn run(&self, pool: &ThreadPool) {
        let shapes = Shapes::of(self.isa);
        let grid = self.grid(shapes, pool.size());
        let parts = grid.row_parts * grid.strip_parts;
        pool.parallel_for(self.items.len() * parts, Schedule::Static, |index| {
            let (row_part, strip_part) =
                (index % parts / grid.strip_parts, index % grid.strip_parts);
            let panels = self.rows.div_ceil(shapes.rows);
            let rows = part(panels, grid.row_parts, row_part);
            let strips = self.columns.div_ceil(STRIP);
            let groups = part(strips.div_ceil(grid.group), grid.strip_parts, strip_part);
            let unit = Unit {
                item: self.items[index / parts],
                rows: rows.start * shapes.rows..(rows.end * shapes.rows).min(self.rows),
                strips: groups.start * grid.group..(groups.end * grid.group).min(strips),
            };
            // SAFETY: passed on; units of an item cover different rows or strips.
            unsafe { self.run_unit(shapes, &unit) };
        });
    }

    /// Strips are cut at whole groups, so that tiles are full. Rows are cut only as far as threads
    /// need it, since each part packs the strips for itself.
    fn grid(&self, shapes: &Shapes, threads: usize) -> Grid {
        let group = shapes.strips(self.rows.min(shapes.rows));
        let groups = self.columns.div_ceil(group * STRIP);
        let panels = self.rows.div_ceil(shapes.rows);
        let wanted = if threads == 1 { 1 } else { self.wanted_units(threads) };
        let strip_parts = groups.min(wanted);
        let row_parts = wanted.min(2 * threads).div_ceil(strip_parts).min(panels);
        Grid { row_parts, strip_parts, group }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and any large value will do"
    )]
    fn wanted_units(&self, threads: usize) -> usize {
        let [rows, columns, depth] = [self.rows, self.columns, self.depth].map(|n| n as f64);
        let arithmetic_ns = rows * columns * depth / 50.0;
        let memory_ns = (rows * depth + columns * depth + rows * columns) / 4.0;
        let item_ns = arithmetic_ns.max(memory_ns);
        let items = self.items.len();
        let most = (4 * threads).div_ceil(items);
        ((item_ns / UNIT_NS) as usize).clamp(1, most)
    }

    unsafe fn run_unit(&self, shapes: &Shapes, unit: &Unit) {
        if let Rhs::Source(source) = self.rhs
            && self.rows <= source.direct_rows()
            && self.depth > 0
        {
            // SAFETY: passed on.
            return unsafe { self.run_direct(shapes, source, unit) };
        }
        let blocks = self.depth.div_ceil(DEPTH).max(1);
        for block in 0..blocks {
            let depth = part(self.depth, blocks, block);
            for start in unit.rows.clone().step_by(ROWS) {
                let rows = start..(start + ROWS).min(unit.rows.end);
                let slab = Slab { job: self, shapes, item: unit.item, depth: depth.clone(), rows };
                // SAFETY: passed on; rows, strips and depth are within the product.
                unsafe { slab.run(unit.strips.clone()) };
            }
        }
    }

    /// A unit of few rows whose source multiplies without writing strips.
    unsafe fn run_direct(&self, shapes: &Shapes, source: &dyn PanelSource, unit: &Unit) {
        let (rows, width) = (unit.rows.len(), unit.strips.len() * STRIP);
        let column = unit.strips.start * STRIP;
        let slab = Slab {
            job: self,
            shapes,
            item: unit.item,
            depth: 0..self.depth,
            rows: unit.rows.clone(),
        };
        with_scratch(rows * (self.depth + width), |scratch| {
            let (lhs, sums) = scratch.split_at_mut(rows * self.depth);
            // SAFETY: the rows of this unit lie within the left-hand slice.
            unsafe { copy_rows(slab.left(), self.depth, lhs) };
            source.multiply(unit.item.rhs, lhs, unit.strips.clone(), sums);
            let columns = width.min(self.columns - column);
            let tile = slab.tile([unit.rows.start, column], columns);
            for (r, sums) in sums.chunks_exact(width).enumerate() {
                // SAFETY: the row and its columns belong to this unit.
                unsafe { finish_row(&tile, r, &sums[..columns]) };
            }
            // SAFETY: the rows were just written and belong to this unit.
            unsafe { slab.activate_tile(&tile, rows, [unit.rows.start, column]) };
        });
    }

    /// What a tile whose first element is at (row, column) does with its sums.
    fn finish(&self, depth: &Range<usize>, item: Offsets, [row, column]: [usize; 2]) -> Finish {
        let epilogue = &self.epilogue;
        let mut finish = Finish {
            alpha: epilogue.alpha,
            beta: if depth.start == 0 { epilogue.beta } else { 1.0 },
            column_bias: std::ptr::null(),
            row_bias: std::ptr::null(),
            residual: std::ptr::null(),
            bounds: None,
        };
        if depth.end < self.depth {
            return finish;
        }
        let at = |data: &[f32], index: usize| data.as_ptr().wrapping_add(index);
        if let Some(bias) = epilogue.column_bias {
            finish.column_bias = at(bias, column);
        }
        if let Some(bias) = epilogue.row_bias {
            finish.row_bias = at(bias, item.row_bias + row);
        }
        if let Some(residual) = epilogue.residual.filter(|residual| !residual.after_activation) {
            finish.residual = at(residual.data, item.out + row * self.out_row + column);
        }
        finish.bounds = epilogue
            .activation
            .bounds()
            .filter(|bounds| *bounds != [f32::NEG_INFINITY, f32::INFINITY]);
        finish
    }
}

/// One block of the depth of some rows of one item.
struct Slab<'a> {
    job: &'a Job<'a>,
    shapes: &'a Shapes,
    item: Offsets,
    depth: Range<usize>,
    rows: Range<usize>,
}

/// Rows as the kernel reads them.
#[derive(Clone, Copy)]
struct Left {
    first: *const f32,
    row: usize,
    step: usize,
}

/// Strips as the kernel reads them.
#[derive(Clone, Copy)]
struct Right {
    first: *const f32,
    strip: usize,
    step: usize,
}

impl Slab<'_> {
    /// The rows where they lie.
    fn left(&self) -> Left {
        let lhs = &self.job.lhs;
        let start = self.item.lhs + self.rows.start * lhs.row_stride;
        let first = lhs.data.as_ptr().wrapping_add(start + self.depth.start * lhs.column_stride);
        Left { first, row: lhs.row_stride, step: lhs.column_stride }
    }

    /// A tile without its operands: where it is written and what is done with its sums.
    fn tile(&self, [row, column]: [usize; 2], columns: usize) -> Tile {
        let job = self.job;
        Tile {
            depth: self.depth.len(),
            lhs: std::ptr::null(),
            lhs_row: 0,
            lhs_step: 0,
            rhs: std::ptr::null(),
            rhs_strip: 0,
            rhs_step: 0,
            out: job.out.pointer().wrapping_add(self.item.out + row * job.out_row + column),
            out_row: job.out_row,
            columns,
            finish: job.finish(&self.depth, self.item, [row, column]),
        }
    }

    unsafe fn run(&self, strips: Range<usize>) {
        let left = self.left();
        if left.step == 1 || strips.len() <= self.shapes.strips(1) {
            // SAFETY: passed on.
            return unsafe { self.run_groups(left, strips) };
        }
        with_scratch(self.rows.len() * self.depth.len(), |packed| {
            // SAFETY: the rows and the depth of this slab lie within the left-hand slice.
            unsafe { copy_rows(left, self.depth.len(), packed) };
            let left = Left { first: packed.as_ptr(), row: self.depth.len(), step: 1 };
            // SAFETY: passed on.
            unsafe { self.run_groups(left, strips) };
        });
    }

    unsafe fn run_groups(&self, left: Left, mut strips: Range<usize>) {
        if self.ends_narrow(left, &strips) {
            strips.end -= 1;
            // SAFETY: passed on.
            unsafe { self.run_narrow(left, strips.end) };
        }
        let most = self.shapes.strips(self.rows.len().min(self.shapes.rows));
        let groups = |strips: Range<usize>| {
            let end = strips.end;
            strips.step_by(most).map(move |first| first..(first + most).min(end))
        };
        match &self.job.rhs {
            Rhs::Packed(packed) => {
                for group in groups(strips) {
                    let right = self.packed(packed, group.start);
                    // SAFETY: passed on.
                    unsafe { self.run_group(left, right, group) };
                }
            }
            Rhs::Source(source) => {
                // SAFETY: passed on.
                groups(strips).for_each(|group| unsafe { self.pack_group(*source, left, group) });
            }
            Rhs::Matrix(matrix) => {
                let whole =
                    strips.start..self.readable_in_place(matrix).clamp(strips.start, strips.end);
                let rest = whole.end..strips.end;
                for group in groups(whole) {
                    let row = self.item.rhs + self.depth.start * matrix.row_stride;
                    let first = matrix.data.as_ptr().wrapping_add(row + group.start * STRIP);
                    let right = Right { first, strip: STRIP, step: matrix.row_stride };
                    // SAFETY: passed on; these strips are whole.
                    unsafe { self.run_group(left, right, group) };
                }
                // SAFETY: passed on.
                groups(rest).for_each(|group| unsafe { self.pack_group(matrix, left, group) });
            }
        }
    }

    /// Whether the last strip is better computed as dot products.
    fn ends_narrow(&self, left: Left, strips: &Range<usize>) -> bool {
        let columns = self.job.columns % STRIP;
        strips.end * STRIP > self.job.columns
            && (1..=narrow::COLUMNS).contains(&columns)
            && left.step == 1
            && self.rows.len() >= narrow::ROWS
    }

    /// The last strip as dot products of rows and columns.
    unsafe fn run_narrow(&self, left: Left, strip: usize) {
        let (depth, column) = (self.depth.len(), strip * STRIP);
        let columns = self.job.columns - column;
        with_scratch((STRIP + columns) * depth, |scratch| {
            let (packed, transposed) = scratch.split_at_mut(STRIP * depth);
            self.write_strip(strip, packed);
            for (k, values) in packed.as_chunks::<STRIP>().0.iter().enumerate() {
                for c in 0..columns {
                    transposed[c * depth + k] = values[c];
                }
            }
            for row in self.rows.clone().step_by(narrow::ROWS) {
                let rows = narrow::ROWS.min(self.rows.end - row);
                let lhs = left.first.wrapping_add((row - self.rows.start) * left.row);
                let dots = Dots { lhs, lhs_row: left.row, depth, columns: transposed };
                let mut sums = [[0.0; narrow::COLUMNS]; narrow::ROWS];
                // SAFETY: these rows lie within the left-hand side.
                unsafe { narrow::multiply(self.job.isa, &dots, rows, &mut sums) };
                let tile = self.tile([row, column], columns);
                for (r, sums) in sums.iter().take(rows).enumerate() {
                    // SAFETY: the row and its columns belong to this unit.
                    unsafe { finish_row(&tile, r, &sums[..columns]) };
                }
                if self.depth.end == self.job.depth {
                    // SAFETY: the rows were just written and belong to this unit.
                    unsafe { self.activate_tile(&tile, rows, [row, column]) };
                }
            }
        });
    }

    /// Writes the part of one strip that this block of the depth needs.
    fn write_strip(&self, strip: usize, out: &mut [f32]) {
        let (start, rows) = (self.item.rhs, self.depth.clone());
        match &self.job.rhs {
            Rhs::Source(source) => source.pack(start, rows, strip..strip + 1, out),
            Rhs::Matrix(matrix) => matrix.pack(start, rows, strip..strip + 1, out),
            Rhs::Packed(packed) => {
                let first = (strip * packed.rows() + rows.start) * STRIP;
                out.copy_from_slice(&packed.floats()[first..first + out.len()]);
            }
        }
    }

    /// The end of the strips that are read where they are: packing pays only if rows share it.
    fn readable_in_place(&self, matrix: &Matrix<'_>) -> usize {
        let in_place = matrix.column_stride == 1 && self.job.rows <= self.shapes.rows;
        if in_place { matrix.columns / STRIP } else { 0 }
    }

    fn packed(&self, packed: &PackedB, strip: usize) -> Right {
        let start = (strip * packed.rows() + self.depth.start) * STRIP;
        let first = packed.floats().as_ptr().wrapping_add(start);
        Right { first, strip: packed.rows() * STRIP, step: STRIP }
    }

    unsafe fn pack_group(&self, source: &dyn PanelSource, left: Left, group: Range<usize>) {
        let strip = self.depth.len() * STRIP;
        with_scratch(group.len() * strip, |floats| {
            source.pack(self.item.rhs, self.depth.clone(), group.clone(), floats);
            let right = Right { first: floats.as_ptr(), strip, step: STRIP };
            // SAFETY: passed on.
            unsafe { self.run_group(left, right, group) };
        });
    }

    /// All rows of one group of strips.
    unsafe fn run_group(&self, left: Left, right: Right, group: Range<usize>) {
        let job = self.job;
        let column = group.start * STRIP;
        let columns = (group.len() * STRIP).min(job.columns - column);
        let panels = self.rows.len().div_ceil(self.shapes.rows);
        let step = self.rows.len().div_ceil(panels);
        for row in self.rows.clone().step_by(step) {
            let rows = step.min(self.rows.end - row);
            let tile = Tile {
                lhs: left.first.wrapping_add((row - self.rows.start) * left.row),
                lhs_row: left.row,
                lhs_step: left.step,
                rhs: right.first,
                rhs_strip: right.strip,
                rhs_step: right.step,
                ..self.tile([row, column], columns)
            };
            // SAFETY: the operands of the tile lie within those of the job.
            unsafe { self.shapes.kernel(rows, group.len())(job.isa, &tile) };
            if self.depth.end == job.depth {
                // SAFETY: the tile's rows were just written and belong to this unit.
                unsafe { self.activate_tile(&tile, rows, [row, column]) };
            }
        }
    }

    /// The part of the epilogue that is not applied in registers.
    unsafe fn activate_tile(&self, tile: &Tile, rows: usize, [row, column]: [usize; 2]) {
        let epilogue = &self.job.epilogue;
        let late = epilogue.residual.filter(|residual| residual.after_activation);
        if epilogue.activation.bounds().is_some() && late.is_none() {
            return;
        }
        for r in 0..rows {
            let out = tile.out.wrapping_add(r * tile.out_row);
            // SAFETY: passed on.
            let out = unsafe { std::slice::from_raw_parts_mut(out, tile.columns) };
            if epilogue.activation.bounds().is_none() {
                activate(self.job.isa, epilogue.activation, out);
            }
            if let Some(residual) = late {
                let start = self.item.out + (row + r) * tile.out_row + column;
                let residual = &residual.data[start..start + tile.columns];
                out.iter_mut().zip(residual).for_each(|(out, value)| *out += value);
            }
        }
    }
}

/// Part `index` of `parts` nearly equal parts of `0..count`.
fn part(count: usize, parts: usize, index: usize) -> Range<usize> {
    index * count / parts..(index + 1) * count / parts
}

/// Copies rows of any strides so that each is contiguous.
unsafe fn copy_rows(left: Left, depth: usize, out: &mut [f32]) {
    const BLOCK: usize = 16;
    let rows = out.len() / depth.max(1);
    for first in (0..rows).step_by(BLOCK) {
        for step in 0..depth {
            let column = left.first.wrapping_add(step * left.step);
            for row in first..(first + BLOCK).min(rows) {
                // SAFETY: the caller promises `rows` rows of `depth` steps.
                out[row * depth + step] = unsafe { *column.wrapping_add(row * left.row) };
            }
        }
    }
}
