//! The stored form of an image: each axis rearranged as [`super::axis`] says, padding in place.

use super::AXES;
use super::axis::Axis;
use remuda_simd::{Kernel, Simd};

use crate::Context;
use crate::pool::Schedule;

/// How the channels of an image are stored.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    axes: [Axis; AXES],
}

impl Layout {
    /// Nothing if a channel's size does not fit an integer.
    pub(super) fn new(axes: [Axis; AXES]) -> Option<Self> {
        let size = |length: fn(&Axis) -> usize| {
            axes.iter().try_fold(1_usize, |size, axis| size.checked_mul(length(axis)))
        };
        size(Axis::stored)?;
        size(|axis| axis.input)?;
        size(|axis| axis.output)?;
        size(|axis| axis.taps.len())?;
        Some(Self { axes })
    }

    pub(super) fn axes(&self) -> &[Axis; AXES] {
        &self.axes
    }

    /// Elements of a stored channel.
    pub(super) fn channel_len(&self) -> usize {
        self.axes.iter().map(Axis::stored).product()
    }

    /// Elements of an input channel.
    pub(super) fn plain_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.input).product()
    }

    /// Elements of an output channel.
    pub(super) fn outputs(&self) -> usize {
        self.axes.iter().map(|axis| axis.output).product()
    }

    /// Elements of a window.
    pub(super) fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.taps.len()).product()
    }

    /// Whether the stored form is the input itself.
    pub(super) fn is_plain(&self) -> bool {
        self.axes.iter().all(Axis::is_plain)
    }

    /// Whether a stored channel is, in order, what the outputs read: a window of one element.
    pub(super) fn is_pointwise(&self) -> bool {
        self.axes.iter().all(|axis| axis.taps.len() == 1 && axis.length == axis.output)
    }

    /// Where each tap of the first output lies in a stored channel, in the order of the weights.
    pub(super) fn tap_offsets(&self) -> Vec<usize> {
        let [depth, height, width] = &self.axes;
        let mut offsets = Vec::with_capacity(self.taps());
        for d in &depth.taps {
            for h in &height.taps {
                let row = (d * height.stored() + h) * width.stored();
                offsets.extend(width.taps.iter().map(|w| row + w));
            }
        }
        offsets
    }

    /// Where each tap of the first output lies in each of `channels` stored channels.
    pub(super) fn row_offsets(&self, channels: usize) -> Vec<usize> {
        let (taps, channel) = (self.tap_offsets(), self.channel_len());
        (0..channels).flat_map(|index| taps.iter().map(move |tap| index * channel + tap)).collect()
    }

    /// Where the window of an output begins in a stored channel.
    pub(super) fn output_offset(&self, output: usize) -> usize {
        let [_, height, width] = &self.axes;
        let (row, w) = (output / width.output, output % width.output);
        let (d, h) = (row / height.output, row % height.output);
        (d * height.stored() + h) * width.stored() + w
    }

    /// Writes channels of `input` to `out` in their stored form, as many as `out` holds.
    pub(super) fn arrange(&self, context: Context<'_>, input: &[f32], out: &mut [f32]) {
        let (stored, plain) = (self.channel_len(), self.plain_len());
        if stored == 0 {
            return;
        }
        // A few channels at a time, so that handing them out costs little.
        let together = (out.len() / stored / (4 * context.pool.size())).max(1);
        context.pool.parallel_pieces(out, together * stored, Schedule::Static, |index, piece| {
            let input = &input[index * together * plain..];
            context.run(Arrange { layout: self, input, out: piece });
        });
    }

    /// [`Self::arrange`] for bytes; `out` holds what padding is.
    pub(super) fn arrange_bytes(&self, context: Context<'_>, input: &[u8], out: &mut [u8]) {
        let (stored, plain) = (self.channel_len(), self.plain_len());
        if stored == 0 {
            return;
        }
        let together = (out.len() / stored / (4 * context.pool.size())).max(1);
        context.pool.parallel_pieces(out, together * stored, Schedule::Static, |index, piece| {
            for (slot, out) in piece.chunks_exact_mut(stored).enumerate() {
                let start = (index * together + slot) * plain;
                let input = &input[start..start + plain];
                self.place_channel(input, out, |from: &[u8], to| to.copy_from_slice(from));
            }
        });
    }

    /// Writes one channel in its stored form.
    #[inline(always)]
    pub(super) fn arrange_channel<S: Simd>(&self, simd: S, input: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        self.place_channel(input, out, |from: &[f32], to| copy(simd, from, to));
    }

    /// Writes the elements of one channel that are not padding.
    #[inline(always)]
    fn place_channel<T: Copy>(
        &self,
        input: &[T],
        out: &mut [T],
        copy: impl Fn(&[T], &mut [T]) + Copy,
    ) {
        let [depth, height, width] = &self.axes;
        let mut rows = out.chunks_exact_mut(width.stored().max(1));
        for d in depth.sources() {
            for (h, out) in height.sources().zip(&mut rows) {
                if let Some((d, h)) = d.zip(h) {
                    let start = (d * height.input + h) * width.input;
                    place_row(width, &input[start..start + width.input], out, copy);
                }
            }
        }
    }
}

/// Writes all channels that `out` holds.
struct Arrange<'a> {
    layout: &'a Layout,
    input: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Arrange<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (stored, plain) = (self.layout.channel_len(), self.layout.plain_len());
        for (channel, out) in self.out.chunks_exact_mut(stored).enumerate() {
            let input = &self.input[channel * plain..][..plain];
            self.layout.arrange_channel(simd, input, out);
        }
    }
}

/// Writes the elements of one row that are not padding.
#[inline(always)]
fn place_row<T: Copy>(axis: &Axis, input: &[T], out: &mut [T], copy: impl Fn(&[T], &mut [T])) {
    for (remainder, out) in axis.remainders.iter().zip(out.chunks_exact_mut(axis.length.max(1))) {
        // Places of this row that lie before the input, and the input's element at the next one.
        let before = axis.pad.saturating_sub(*remainder).div_ceil(axis.stride).min(out.len());
        let first = (before * axis.stride + remainder).saturating_sub(axis.pad);
        let Some(input) = input.get(first..).filter(|input| !input.is_empty()) else { continue };
        let count = input.len().div_ceil(axis.stride).min(out.len() - before);
        let out = &mut out[before..before + count];
        match axis.stride {
            1 => copy(&input[..count], out),
            2 => {
                let (pairs, last) = input.as_chunks::<2>();
                for (out, pair) in out.iter_mut().zip(pairs) {
                    *out = pair[0];
                }
                if let Some(out) = out.get_mut(pairs.len()) {
                    *out = last[0];
                }
            }
            stride => {
                for (out, value) in out.iter_mut().zip(input.iter().step_by(stride)) {
                    *out = *value;
                }
            }
        }
    }
}

/// Copies short rows without a call.
#[inline(always)]
pub(super) fn copy<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
    let mut targets = to.chunks_exact_mut(S::LANES);
    let mut sources = from.chunks_exact(S::LANES);
    for (to, from) in (&mut targets).zip(&mut sources) {
        simd.store(simd.load(from), to);
    }
    let (from, to) = (sources.remainder(), targets.into_remainder());
    if !to.is_empty() {
        simd.store_partial(simd.load_partial(from, 0.0), to);
    }
}
