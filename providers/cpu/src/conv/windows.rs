//! The matrix of all windows of an image, written strip by strip.

use std::ops::Range;

use super::image::Layout;
use crate::gemm::{PanelSource, STRIP};

/// Elements after the last stored channel that may be read, and are dropped.
pub(super) const SLACK: usize = STRIP;

/// A matrix of one row per channel and tap and one column per output.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    layout: &'a Layout,
    image: &'a [f32],
    /// Where each row of the first output lies.
    offsets: Vec<usize>,
    columns: usize,
}

impl<'a> Windows<'a> {
    pub(super) fn new(layout: &'a Layout, channels: usize, image: &'a [f32]) -> Self {
        let taps = layout.tap_offsets();
        let channel = layout.channel_len();
        let offsets = (0..channels)
            .flat_map(|index| taps.iter().map(move |tap| index * channel + tap))
            .collect();
        Self { layout, image, offsets, columns: layout.outputs() }
    }

    /// The parts of a strip that are contiguous in the image: where each begins in the strip and in
    /// the image. The last runs to the end of the strip or beyond.
    fn runs(&self, strip: usize) -> ([(usize, usize); STRIP], usize) {
        let width = self.layout.axes()[2].output;
        let first = strip * STRIP;
        let end = (first + STRIP).min(self.columns);
        let mut runs = [(0, 0); STRIP];
        let mut count = 0;
        let mut output = first;
        while output < end {
            runs[count] = (output - first, self.layout.output_offset(output));
            count += 1;
            output += width - output % width;
        }
        (runs, count)
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
        for (strip, out) in strips.zip(out.chunks_exact_mut(offsets.len() * STRIP)) {
            let (runs, count) = self.runs(strip);
            let image = &self.image[start..];
            match count {
                1 => pack_strip::<1>(image, offsets, &runs[..1], out),
                2 => pack_strip::<2>(image, offsets, &runs[..2], out),
                3 => pack_strip::<3>(image, offsets, &runs[..3], out),
                _ => pack_strip::<0>(image, offsets, &runs[..count], out),
            }
        }
    }
}

/// Writes `[offsets][STRIP]`. Whole strips are copied from the begin of each run, in order, so that
/// each run overwrites what the one before it copied too much. `COUNT` is the number of runs, or
/// zero if that is left to the slice.
fn pack_strip<const COUNT: usize>(
    image: &[f32],
    offsets: &[usize],
    runs: &[(usize, usize)],
    out: &mut [f32],
) {
    let runs = if COUNT > 0 { &runs[..COUNT] } else { runs };
    for (row, offset) in offsets.iter().enumerate() {
        for (place, begin) in runs {
            let target = row * STRIP + place;
            let source = offset + begin;
            if let (Some(from), Some(to)) =
                (image.get(source..source + STRIP), out.get_mut(target..target + STRIP))
            {
                to.copy_from_slice(from);
            } else {
                copy_what_fits(&image[source..], &mut out[target..]);
            }
        }
    }
}

/// At the end of the strip or of the image.
#[cold]
fn copy_what_fits(from: &[f32], to: &mut [f32]) {
    let count = from.len().min(to.len()).min(STRIP);
    to[..count].copy_from_slice(&from[..count]);
}
