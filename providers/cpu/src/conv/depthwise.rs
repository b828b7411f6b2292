//! Convolutions of one channel to one channel.
//!
//! There is nothing to share between channels, so there is no product of matrices. The stored
//! channel is walked as one long line: the outputs of all rows, with the few elements between two
//! rows computed too and dropped, so that vectors are full even when rows are short.

use remuda_simd::{Kernel, Simd};

use super::Conv;
use super::image::{Layout, copy};
use crate::Context;
use crate::gemm::{Activation, Epilogue, activate};
use crate::pool::Schedule;
use crate::scratch::with_scratch;

/// Vectors that are computed together, to hide the latency of the additions.
const TOGETHER: usize = 4;

/// Floats after a line and after a stored channel that the last vectors may touch.
const SLACK: usize = TOGETHER * remuda_simd::MAX_LANES;

impl Conv {
    /// The slices are long enough.
    pub(super) fn run_depthwise(
        &self,
        context: Context<'_>,
        input: &[f32],
        weights: &[f32],
        epilogue: Epilogue<'_>,
        out: &mut [f32],
    ) {
        let layout = &self.layout;
        let (outputs, plain, taps) = (layout.outputs(), layout.plain_len(), layout.taps());
        let channels = self.batch * self.groups;
        if outputs == 0 || channels == 0 {
            return;
        }
        let offsets = layout.tap_offsets();
        let line = layout.output_offset(outputs - 1) + 1;
        let together = channels.div_ceil(8 * context.pool.size());
        let out = &mut out[..channels * outputs];
        context.pool.parallel_pieces(out, together * outputs, Schedule::Static, |piece, out| {
            with_scratch(layout.channel_len() + line + 2 * SLACK, |scratch| {
                let (image, line_sums) = scratch.split_at_mut(layout.channel_len() + SLACK);
                for (slot, out) in out.chunks_exact_mut(outputs).enumerate() {
                    let channel = piece * together + slot;
                    context.run(Channel {
                        layout,
                        input: &input[channel * plain..][..plain],
                        weights: &weights[channel % self.groups * taps..][..taps],
                        offsets: &offsets,
                        image,
                        line: &mut line_sums[..line],
                        out,
                        epilogue: &epilogue,
                        bias: epilogue.row_bias.map_or(0.0, |bias| bias[channel % self.groups]),
                        start: channel * outputs,
                    });
                    finish(context, &epilogue, channel * outputs, out);
                }
            });
        });
    }
}

/// The part of the epilogue that follows the bounds.
fn finish(context: Context<'_>, epilogue: &Epilogue<'_>, start: usize, out: &mut [f32]) {
    if epilogue.activation.bounds().is_none() {
        activate(context.isa, epilogue.activation, out);
    }
    if let Some(residual) = epilogue.residual.filter(|residual| residual.after_activation) {
        let residual = &residual.data[start..];
        out.iter_mut().zip(residual).for_each(|(out, value)| *out += value);
    }
}

/// One channel of one image.
struct Channel<'a> {
    layout: &'a Layout,
    input: &'a [f32],
    weights: &'a [f32],
    /// Where each tap of the first output lies in the stored channel.
    offsets: &'a [usize],
    /// Room for the stored channel, and slack.
    image: &'a mut [f32],
    /// Room for the sums.
    line: &'a mut [f32],
    out: &'a mut [f32],
    epilogue: &'a Epilogue<'a>,
    bias: f32,
    /// Where the channel begins in a residual.
    start: usize,
}

impl Kernel for Channel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let stored = self.layout.channel_len();
        self.layout.arrange_channel(simd, self.input, &mut self.image[..stored]);
        self.sum(simd);
        if self.epilogue.beta == 0.0 && self.epilogue.residual.is_none() {
            self.write(simd);
        } else {
            self.write_onto();
        }
    }
}

impl Channel<'_> {
    /// Sums of a whole line, with bias and bounds.
    #[inline(always)]
    fn sum<S: Simd>(&mut self, simd: S) {
        let [low, high] = self.bounds();
        let (low, high) = (simd.splat(low), simd.splat(high));
        let (bias, alpha) = (simd.splat(self.bias), simd.splat(self.epilogue.alpha));
        let mut start = 0;
        for chunk in self.line.chunks_mut(TOGETHER * S::LANES) {
            let mut sums = [simd.zero(); TOGETHER];
            for (offset, weight) in self.offsets.iter().zip(self.weights) {
                let weight = simd.splat(*weight);
                let image = &self.image[offset + start..][..TOGETHER * S::LANES];
                for v in 0..TOGETHER {
                    sums[v] = simd.mul_add(simd.load(&image[v * S::LANES..]), weight, sums[v]);
                }
            }
            for (sum, chunk) in sums.into_iter().zip(chunk.chunks_mut(S::LANES)) {
                let sum = simd.mul_add(sum, alpha, bias);
                let sum = simd.min(high, simd.max(low, sum));
                if chunk.len() == S::LANES {
                    simd.store(sum, chunk);
                } else {
                    simd.store_partial(sum, chunk);
                }
            }
            start += TOGETHER * S::LANES;
        }
    }

    /// What the line's sums are bounded by: nothing if more is added to them.
    fn bounds(&self) -> [f32; 2] {
        let last = self.epilogue.beta == 0.0 && self.epilogue.residual.is_none();
        let activation = if last { self.epilogue.activation } else { Activation::None };
        activation.bounds().unwrap_or([f32::NEG_INFINITY, f32::INFINITY])
    }

    /// Takes the rows of the output out of the line.
    #[inline(always)]
    fn write<S: Simd>(self, simd: S) {
        let width = self.layout.axes()[2].output;
        for (row, out) in self.out.chunks_exact_mut(width).enumerate() {
            let from = self.layout.output_offset(row * width);
            copy(simd, &self.line[from..from + width], out);
        }
    }

    /// [`Self::write`] where the output's old values or a residual are added.
    fn write_onto(self) {
        let width = self.layout.axes()[2].output;
        let Epilogue { beta, residual, activation, .. } = *self.epilogue;
        let early = residual.filter(|residual| !residual.after_activation);
        let [low, high] = activation.bounds().unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        for (index, out) in self.out.iter_mut().enumerate() {
            let place = self.layout.output_offset(index - index % width) + index % width;
            let kept = if beta == 0.0 { 0.0 } else { beta * *out };
            let added = early.map_or(0.0, |residual| residual.data[self.start + index]);
            let sum = self.line[place] + kept + added;
            *out = if sum.is_nan() { sum } else { sum.max(low).min(high) };
        }
    }
}
