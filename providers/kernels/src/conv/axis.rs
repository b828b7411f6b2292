//! One spatial axis: which elements of it a window touches and how they are stored.
//!
//! Along an axis of stride `s`, tap `t` of the window of output `o` reads element
//! `o * s + t * dilation` of the padded axis. If the axis is stored as one row per remainder modulo
//! `s`, that is element `o + t * dilation / s` of the row `t * dilation % s`: neighbouring outputs
//! read neighbouring elements, whatever the stride. Only the rows that some tap reads are stored.

use std::ops::Range;

use crate::memory::{NoMemory, collected};

/// One spatial axis of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisSpec {
    /// Elements of the input.
    pub input: usize,
    /// Taps of the window.
    pub kernel: usize,
    /// Distance of neighbouring windows.
    pub stride: usize,
    /// Distance of neighbouring taps.
    pub dilation: usize,
    /// Zeros before and after the input.
    pub pads: [usize; 2],
}

/// An axis in its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) stride: usize,
    pub(super) pad: usize,
    /// Remainders that are stored, each a row.
    pub(super) remainders: Vec<usize>,
    /// Elements of such a row.
    pub(super) length: usize,
    /// Where each tap of the first output lies in the stored axis.
    pub(super) taps: Vec<usize>,
}

impl AxisSpec {
    /// Outputs, and elements of a stored row.
    fn sizes(&self) -> Option<[usize; 2]> {
        let Self { input, kernel, stride, dilation, pads } = *self;
        let reach = kernel.checked_sub(1)?.checked_mul(dilation)?;
        let padded = input.checked_add(pads[0])?.checked_add(pads[1])?;
        let steps = padded.checked_sub(reach)?.checked_sub(1)?.checked_div(stride)?;
        let fits = dilation > 0 && isize::try_from(padded).is_ok();
        fits.then_some([steps + 1, steps + 1 + reach / stride])
    }
}

impl Axis {
    /// Nothing where no window fits, or a place does not fit an integer.
    pub(super) fn new(spec: &AxisSpec) -> Result<Option<Self>, NoMemory> {
        let AxisSpec { input, kernel, stride, dilation, pads } = *spec;
        let Some([output, length]) = spec.sizes() else { return Ok(None) };
        let remainder = |tap| tap * dilation % stride;
        let mut remainders = collected(kernel, (0..kernel).map(remainder))?;
        remainders.sort_unstable();
        remainders.dedup();
        if remainders.len().checked_mul(length).is_none() {
            return Ok(None);
        }
        let place = |tap| {
            let row = remainders.partition_point(|&stored| stored < remainder(tap));
            row * length + tap * dilation / stride
        };
        let taps = collected(kernel, (0..kernel).map(place))?;
        Ok(Some(Self { input, output, stride, pad: pads[0], remainders, length, taps }))
    }

    /// An axis of size one that nothing happens along.
    pub(super) fn single() -> Self {
        Self {
            input: 1,
            output: 1,
            stride: 1,
            pad: 0,
            remainders: vec![0],
            length: 1,
            taps: vec![0],
        }
    }

    /// Elements of the stored axis.
    pub(super) fn stored(&self) -> usize {
        self.remainders.len() * self.length
    }

    /// Whether the stored axis is the input itself.
    pub(super) fn is_plain(&self) -> bool {
        self.stride == 1 && self.pad == 0 && self.length == self.input
    }

    /// The places of the stored axis that are not padding, each with its input element.
    pub(super) fn sources(&self) -> impl Iterator<Item = (usize, usize)> {
        self.inner().enumerate().flat_map(move |(slot, range)| {
            let (first, places) = range.unwrap_or_default();
            let sources = (first..).step_by(self.stride);
            places.map(move |place| slot * self.length + place).zip(sources)
        })
    }

    /// For each stored row the places that are not padding and the input element of the first of
    /// them; nothing where all is padding.
    pub(super) fn inner(&self) -> impl Iterator<Item = Option<(usize, Range<usize>)>> {
        self.remainders.iter().map(move |remainder| {
            let before = self.pad.saturating_sub(*remainder).div_ceil(self.stride);
            let first = before * self.stride + remainder - self.pad;
            let count = self.input.checked_sub(first)?.div_ceil(self.stride);
            let end = (before + count).min(self.length);
            (before < end).then_some((first, before..end))
        })
    }
}
