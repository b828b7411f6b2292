//! The matrix of all windows of an image, written strip by strip.
#![expect(unsafe_code, reason = "copies are checked once per strip, not once per row")]

use std::ops::Range;

use remuda_simd::{Isa, Kernel, Simd};

use super::image::Layout;
use crate::gemm::{PanelSource, STRIP};

/// Elements after the last stored channel that may be read, and are dropped.
pub(super) const SLACK: usize = STRIP;

/// A matrix of one row per channel and tap and one column per output.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    isa: Isa,
    layout: &'a Layout<'a>,
    image: &'a [f32],
    /// Where each row of the first output lies.
    offsets: Vec<usize>,
    columns: usize,
}

/// A part of a strip that is contiguous in the image.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Run {
    /// Where it begins in the strip.
    pub(super) place: usize,
    /// Where it begins in the image, for a row of offset zero.
    pub(super) begin: usize,
}

/// The runs of a strip and how many there are. The last one goes on to the end of the strip.
pub(super) fn runs(layout: &Layout<'_>, strip: usize) -> ([Run; STRIP], usize) {
    let width = layout.axes()[2].output;
    let first = strip * STRIP;
    let end = (first + STRIP).min(layout.outputs());
    let mut runs = [Run::default(); STRIP];
    let mut count = 0;
    let mut output = first;
    while output < end {
        let begin = layout.output_offset(output);
        runs[count] = Run { place: output - first, begin };
        count += 1;
        output += width - output % width;
    }
    (runs, count)
}

impl<'a> Windows<'a> {
    pub(super) fn new(isa: Isa, layout: &'a Layout<'a>, channels: usize, image: &'a [f32]) -> Self {
        let offsets = layout.row_offsets(channels);
        Self { isa, layout, image, offsets, columns: layout.outputs() }
    }
}

impl PanelSource for Windows<'_> {
    fn rows(&self) -> usize {
        self.offsets.len()
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn pack(&self, start: usize, rows: Range<usize>, strips: Range<usize>, out: &mut [f32]) {
        let offsets = &self.offsets[rows];
        if offsets.is_empty() {
            return;
        }
        let image = &self.image[start..];
        for (strip, out) in strips.zip(out.chunks_exact_mut(offsets.len() * STRIP)) {
            let (runs, count) = runs(self.layout, strip);
            self.isa.run(PackStrip { image, offsets, runs: &runs[..count], out });
        }
    }
}

/// Writes `[offsets][STRIP]`. Whole strips are copied from the begin of each run, in order, so that
/// each run overwrites what the one before it copied too much.
struct PackStrip<'a> {
    image: &'a [f32],
    offsets: &'a [usize],
    runs: &'a [Run],
    out: &'a mut [f32],
}

impl Kernel for PackStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match *self.runs {
            [a] => self.copy(simd, [a]),
            [a, b] => self.copy(simd, [a, b]),
            [a, b, c] => self.copy(simd, [a, b, c]),
            [a, b, c, d] => self.copy(simd, [a, b, c, d]),
            _ => {
                for row in 0..self.offsets.len() {
                    for &run in self.runs {
                        copy_what_fits(self.image, self.out, self.offsets[row], row, run);
                    }
                }
            }
        }
    }
}

impl PackStrip<'_> {
    #[inline(always)]
    fn copy<S: Simd, const COUNT: usize>(self, simd: S, runs: [Run; COUNT]) {
        let begin = runs.iter().map(|run| run.begin).max().unwrap_or(0);
        let farthest = self.offsets.iter().max().map_or(0, |offset| offset + begin + STRIP);
        // The last row has no next one that a copy may run into.
        let inner = if farthest <= self.image.len() { self.offsets.len() - 1 } else { 0 };
        assert!(self.out.len() >= self.offsets.len() * STRIP, "a strip has a place for every row");
        let (image, out) = (self.image.as_ptr(), self.out.as_mut_ptr());
        for (row, &offset) in self.offsets[..inner].iter().enumerate() {
            for run in runs {
                let (from, to) = (offset + run.begin, row * STRIP + run.place);
                // SAFETY: the farthest copy ends within the image, as was checked.
                let from = unsafe { std::slice::from_raw_parts(image.add(from), STRIP) };
                // SAFETY: a run begins within its row and another row follows, as was checked.
                let to = unsafe { std::slice::from_raw_parts_mut(out.add(to), STRIP) };
                for v in 0..STRIP / S::LANES {
                    simd.store(simd.load(&from[v * S::LANES..]), &mut to[v * S::LANES..]);
                }
            }
        }
        for row in inner..self.offsets.len() {
            for run in runs {
                copy_what_fits(self.image, self.out, self.offsets[row], row, run);
            }
        }
    }
}

/// At the end of the strip or of the image, and for strips of many runs.
fn copy_what_fits(image: &[f32], out: &mut [f32], offset: usize, row: usize, run: Run) {
    let from = &image[offset + run.begin..];
    let to = &mut out[row * STRIP + run.place..];
    let count = from.len().min(to.len()).min(STRIP);
    to[..count].copy_from_slice(&from[..count]);
}
