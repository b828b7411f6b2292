//! Convolutions of one channel to one channel.
//!
//! There is nothing to share between channels, so there is no product of matrices. The stored
//! channel is walked as one long line: the outputs of all rows, with the few elements between two
//! rows computed too and dropped, so that vectors are full even when rows are short.

use std::sync::OnceLock;

use remuda_simd::{Kernel, Simd};

use super::Conv;
use super::image::{Layout, copy};
use crate::Context;
use crate::gemm::{Activation, Epilogue, activate};
use crate::memory::NoMemory;
use crate::pool::Schedule;
use crate::scratch::try_with_scratch;

/// Most vectors that are computed together, to hide the latency of the additions.
const TOGETHER: usize = 8;

/// Floats of room for the channels that are computed together.
const BUDGET: usize = 16 << 10;

/// Floats after a stored channel that the last vector may touch.
const SLACK: usize = remuda_simd::MAX_LANES;

impl Conv {
    /// The slices are long enough.
    pub(super) fn run_depthwise(
        &self,
        context: Context<'_>,
        (layout, input): (&Layout<'_>, &[f32]),
        weights: &[f32],
        epilogue: Epilogue<'_>,
        out: &mut [f32],
    ) -> Result<(), NoMemory> {
        let (outputs, plain, taps) = (layout.outputs(), layout.plain_len(), layout.taps());
        let channels = self.batch * self.groups;
        let offsets = layout.tap_offsets();
        let sizes = Sizes {
            image: layout.channel_len().saturating_add(SLACK),
            line: layout.output_offset(outputs - 1) + 1,
        };
        let each = sizes.image.saturating_add(sizes.line);
        let at_once = (BUDGET / each).max(1);
        let together = channels.div_ceil(4 * context.pool.size()).min(at_once);
        let out = &mut out[..channels * outputs];
        let failure = OnceLock::new();
        context.pool.parallel_pieces(out, together * outputs, Schedule::Static, |piece, out| {
            let count = out.len() / outputs;
            let first = piece * together;
            let done = try_with_scratch(each.saturating_mul(count), |scratch| {
                let (images, lines) = scratch.split_at_mut(count * sizes.image);
                context.run(Channels {
                    layout,
                    input: &input[first * plain..][..count * plain],
                    first,
                    weights: &weights[..self.groups * taps],
                    offsets: &offsets,
                    sizes,
                    images,
                    lines,
                    out,
                    epilogue: &epilogue,
                });
            });
            match done {
                Ok(()) => finish(context, &epilogue, first * outputs, out),
                Err(error) => {
                    failure.get_or_init(|| error);
                }
            }
        });
        failure.into_inner().map_or(Ok(()), Err)
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

/// Room for each channel.
#[derive(Clone, Copy)]
struct Sizes {
    /// The stored channel, and slack.
    image: usize,
    /// The sums.
    line: usize,
}

/// A few channels, each step for all of them before the next: what is stored in small pieces is
/// read in large ones, which is slow right after the stores.
struct Channels<'a> {
    layout: &'a Layout<'a>,
    /// Of these channels.
    input: &'a [f32],
    /// The number of the first, counted over all images.
    first: usize,
    /// Of all channels.
    weights: &'a [f32],
    /// Where each tap of the first output lies in the stored channel.
    offsets: &'a [usize],
    sizes: Sizes,
    images: &'a mut [f32],
    lines: &'a mut [f32],
    out: &'a mut [f32],
    epilogue: &'a Epilogue<'a>,
}

impl Kernel for Channels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (layout, taps) = (self.layout, self.offsets.len());
        let (stored, plain) = (layout.channel_len(), layout.plain_len());
        let groups = self.weights.len() / taps;
        let images = self.images.chunks_exact_mut(self.sizes.image);
        for (slot, image) in images.enumerate() {
            let input = &self.input[slot * plain..][..plain];
            layout.arrange_channel(simd, input, &mut image[..stored]);
        }
        let bounds = self.bounds();
        for (slot, line) in self.lines.chunks_exact_mut(self.sizes.line).enumerate() {
            let channel = (self.first + slot) % groups;
            let sums = Line {
                image: &self.images[slot * self.sizes.image..][..self.sizes.image],
                offsets: self.offsets,
                weights: &self.weights[channel * taps..][..taps],
                bias: self.epilogue.row_bias.map_or(0.0, |bias| bias[channel]),
                alpha: self.epilogue.alpha,
                bounds,
            };
            sums.sum(simd, line);
        }
        let plain = self.epilogue.beta == 0.0 && self.epilogue.residual.is_none();
        let lines = self.lines.chunks_exact(self.sizes.line);
        let outputs = layout.outputs();
        for ((slot, line), out) in lines.enumerate().zip(self.out.chunks_exact_mut(outputs)) {
            if plain {
                write(simd, layout, line, out);
            } else {
                write_onto(layout, self.epilogue, (self.first + slot) * outputs, line, out);
            }
        }
    }
}

/// The sums of one channel.
struct Line<'a> {
    image: &'a [f32],
    offsets: &'a [usize],
    weights: &'a [f32],
    bias: f32,
    alpha: f32,
    bounds: [f32; 2],
}

impl Line<'_> {
    /// Writes the sums of a whole line, with bias and bounds.
    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, line: &mut [f32]) {
        let vectors = line.len().div_ceil(S::LANES);
        let parts = vectors.div_ceil(TOGETHER);
        for part in 0..parts {
            let (first, end) = (part * vectors / parts, (part + 1) * vectors / parts);
            let start = first * S::LANES;
            let stop = (end * S::LANES).min(line.len());
            let line = &mut line[start..stop];
            match end - first {
                1 => self.sum_part::<S, 1>(simd, start, line),
                2 => self.sum_part::<S, 2>(simd, start, line),
                3 => self.sum_part::<S, 3>(simd, start, line),
                4 => self.sum_part::<S, 4>(simd, start, line),
                5 => self.sum_part::<S, 5>(simd, start, line),
                6 => self.sum_part::<S, 6>(simd, start, line),
                7 => self.sum_part::<S, 7>(simd, start, line),
                _ => self.sum_part::<S, TOGETHER>(simd, start, line),
            }
        }
    }

    /// `N` vectors of the line, the last perhaps not whole.
    #[inline(always)]
    fn sum_part<S: Simd, const N: usize>(&self, simd: S, start: usize, line: &mut [f32]) {
        let mut sums = [simd.zero(); N];
        for (offset, weight) in self.offsets.iter().zip(self.weights) {
            let weight = simd.splat(*weight);
            let image = &self.image[offset + start..][..N * S::LANES];
            for v in 0..N {
                sums[v] = simd.mul_add(simd.load(&image[v * S::LANES..]), weight, sums[v]);
            }
        }
        let [low, high] = self.bounds.map(|bound| simd.splat(bound));
        let (bias, alpha) = (simd.splat(self.bias), simd.splat(self.alpha));
        for (sum, chunk) in sums.into_iter().zip(line.chunks_mut(S::LANES)) {
            let sum = simd.min(high, simd.max(low, simd.mul_add(sum, alpha, bias)));
            if chunk.len() == S::LANES {
                simd.store(sum, chunk);
            } else {
                simd.store_partial(sum, chunk);
            }
        }
    }
}

impl Channels<'_> {
    /// What the line's sums are bounded by: nothing if more is added to them.
    fn bounds(&self) -> [f32; 2] {
        let last = self.epilogue.beta == 0.0 && self.epilogue.residual.is_none();
        let activation = if last { self.epilogue.activation } else { Activation::None };
        activation.bounds().unwrap_or([f32::NEG_INFINITY, f32::INFINITY])
    }
}

/// Takes the rows of the output out of a line.
#[inline(always)]
fn write<S: Simd>(simd: S, layout: &Layout<'_>, line: &[f32], out: &mut [f32]) {
    let width = layout.axes()[2].output;
    for (&from, out) in layout.output_rows().iter().zip(out.chunks_exact_mut(width)) {
        copy(simd, &line[from..from + width], out);
    }
}

/// [`write`] where the output's old values or a residual are added; `start` is where the channel
/// begins in the residual.
fn write_onto(
    layout: &Layout<'_>,
    epilogue: &Epilogue<'_>,
    start: usize,
    line: &[f32],
    out: &mut [f32],
) {
    let width = layout.axes()[2].output;
    let Epilogue { beta, residual, activation, .. } = *epilogue;
    let early = residual.filter(|residual| !residual.after_activation);
    let [low, high] = activation.bounds().unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
    for (index, out) in out.iter_mut().enumerate() {
        let place = layout.output_offset(index - index % width) + index % width;
        let kept = if beta == 0.0 { 0.0 } else { beta * *out };
        let added = early.map_or(0.0, |residual| residual.data[start + index]);
        let sum = line[place] + kept + added;
        *out = if sum.is_nan() { sum } else { sum.max(low).min(high) };
    }
}
