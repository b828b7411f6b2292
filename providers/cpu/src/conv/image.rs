//! The stored form of an image: each axis rearranged as [`super::axis`] says, padding in place.

use super::AXES;
use super::axis::Axis;
use crate::pool::{Schedule, ThreadPool};

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

    /// Where the window of an output begins in a stored channel.
    pub(super) fn output_offset(&self, output: usize) -> usize {
        let [_, height, width] = &self.axes;
        let (row, w) = (output / width.output, output % width.output);
        let (d, h) = (row / height.output, row % height.output);
        (d * height.stored() + h) * width.stored() + w
    }

    /// Writes channels of `input` to `out` in their stored form, as many as `out` holds.
    pub(super) fn arrange(&self, pool: &ThreadPool, input: &[f32], out: &mut [f32]) {
        let (stored, plain) = (self.channel_len(), self.plain_len());
        if stored == 0 {
            return;
        }
        // A few channels at a time, so that handing them out costs little.
        let together = (out.len() / stored / (4 * pool.size())).max(1);
        pool.parallel_pieces(out, together * stored, Schedule::Static, |index, piece| {
            for (slot, out) in piece.chunks_exact_mut(stored).enumerate() {
                let start = (index * together + slot) * plain;
                self.arrange_channel(&input[start..start + plain], out);
            }
        });
    }

    /// Writes one channel in its stored form.
    pub(super) fn arrange_channel(&self, input: &[f32], out: &mut [f32]) {
        let [depth, height, width] = &self.axes;
        let mut rows = out.chunks_exact_mut(width.stored().max(1));
        for d in depth.sources() {
            for (h, out) in height.sources().zip(&mut rows) {
                match d.zip(h) {
                    Some((d, h)) => {
                        let start = (d * height.input + h) * width.input;
                        arrange_row(width, &input[start..start + width.input], out);
                    }
                    None => out.fill(0.0),
                }
            }
        }
    }
}

fn arrange_row(axis: &Axis, input: &[f32], out: &mut [f32]) {
    for (remainder, out) in axis.remainders.iter().zip(out.chunks_exact_mut(axis.length.max(1))) {
        // Elements of this row before the first that lies in the input, and up to the last one.
        let before = axis.pad.saturating_sub(*remainder).div_ceil(axis.stride).min(out.len());
        let first =
            before * axis.stride + remainder - axis.pad.min(before * axis.stride + remainder);
        let count = input.len().saturating_sub(first).div_ceil(axis.stride);
        let end = (before + count).min(out.len());
        out[..before].fill(0.0);
        out[end..].fill(0.0);
        let out = &mut out[before..end];
        if axis.stride == 1 {
            out.copy_from_slice(&input[first..first + out.len()]);
        } else if !out.is_empty() {
            let taken = input[first..].iter().step_by(axis.stride);
            out.iter_mut().zip(taken).for_each(|(out, value)| *out = *value);
        }
    }
}
