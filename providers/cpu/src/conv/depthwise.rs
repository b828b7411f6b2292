//! Convolutions of one channel to one channel.
//!
//! There is nothing to share between channels, so there is no product of matrices. The stored
//! channel is walked as one long line: the outputs of all rows, with the few elements between two
//! rows computed too and dropped, so that vectors are full even when rows are short.

use remuda_simd::{Kernel, Simd};

use super::Conv;
use crate::Context;
use crate::gemm::{Epilogue, GemmError, activate};
use crate::pool::Schedule;
use crate::scratch::with_scratch;

/// Vectors that are computed together, to hide the latency of the additions.
const TOGETHER: usize = 4;

/// Floats after a line and after a stored channel that the last vectors may touch.
const SLACK: usize = TOGETHER * remuda_simd::MAX_LANES;

impl Conv {
    pub(super) fn run_depthwise(
        &self,
        context: Context<'_>,
        input: &[f32],
        weights: &[f32],
        epilogue: Epilogue<'_>,
        out: &mut [f32],
    ) -> Result<(), GemmError> {
        let layout = &self.layout;
        let (outputs, plain, taps) = (layout.outputs(), layout.plain_len(), layout.taps());
        let offsets = layout.tap_offsets();
        let channels = self.groups;
        let line = layout.output_offset(outputs.max(1) - 1) + 1;
        if outputs == 0 {
            return Ok(());
        }
        let scratch = layout.channel_len() + line + 2 * SLACK;
        context.pool.parallel_pieces(out, outputs, Schedule::Static, |index, out| {
            if index >= self.batch * channels {
                return;
            }
            let channel = index % channels;
            with_scratch(scratch, |scratch| {
                let (image, sums) = scratch.split_at_mut(layout.channel_len() + SLACK);
                layout.arrange_channel(
                    &input[index * plain..][..plain],
                    &mut image[..layout.channel_len()],
                );
                let weights = &weights[channel * taps..][..taps];
                context.isa.run(Line {
                    image,
                    offsets: &offsets,
                    weights,
                    sums: &mut sums[..line],
                });
                let bias = epilogue.row_bias.map_or(0.0, |bias| bias[channel]);
                self.write_rows(context, &epilogue, [index, line], (sums, bias), out);
            });
        });
        Ok(())
    }

    /// Takes the rows of the output out of the line and applies the epilogue.
    fn write_rows(
        &self,
        context: Context<'_>,
        epilogue: &Epilogue<'_>,
        [index, line]: [usize; 2],
        (sums, bias): (&[f32], f32),
        out: &mut [f32],
    ) {
        let width = self.layout.axes()[2].output;
        let start = index * self.layout.outputs();
        let sums = &sums[..line];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let from = self.layout.output_offset(row * width);
            let before = epilogue.beta;
            for (out, sum) in out.iter_mut().zip(&sums[from..from + width]) {
                let kept = if before == 0.0 { 0.0 } else { before * *out };
                *out = epilogue.alpha * sum + kept + bias;
            }
            let residual = epilogue.residual.map(|residual| {
                let place = start + row * width;
                (&residual.data[place..place + width], residual.after_activation)
            });
            let add = |late: bool, out: &mut [f32]| {
                if let Some((residual, _)) = residual.filter(|residual| residual.1 == late) {
                    out.iter_mut().zip(residual).for_each(|(out, value)| *out += value);
                }
            };
            add(false, out);
            activate(context.isa, epilogue.activation, out);
            add(true, out);
        }
    }
}

/// The sums of a whole line.
struct Line<'a> {
    /// The stored channel and slack.
    image: &'a [f32],
    offsets: &'a [usize],
    weights: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut start = 0;
        let mut chunks = self.sums.chunks_exact_mut(TOGETHER * S::LANES);
        for chunk in &mut chunks {
            let mut sums = [simd.zero(); TOGETHER];
            for (offset, weight) in self.offsets.iter().zip(self.weights) {
                let weight = simd.splat(*weight);
                let image = &self.image[offset + start..][..TOGETHER * S::LANES];
                for v in 0..TOGETHER {
                    sums[v] = simd.mul_add(simd.load(&image[v * S::LANES..]), weight, sums[v]);
                }
            }
            for v in 0..TOGETHER {
                simd.store(sums[v], &mut chunk[v * S::LANES..]);
            }
            start += TOGETHER * S::LANES;
        }
        for chunk in chunks.into_remainder().chunks_mut(S::LANES) {
            let mut sum = simd.zero();
            for (offset, weight) in self.offsets.iter().zip(self.weights) {
                let image = simd.load(&self.image[offset + start..]);
                sum = simd.mul_add(image, simd.splat(*weight), sum);
            }
            simd.store_partial(sum, chunk);
            start += S::LANES;
        }
    }
}
