//! Transposed convolutions of f32: every input element adds a window to the output.
//!
//! The windows of all elements are one product, weights times image, `[channels * taps, elements]`.
//! It is computed for a few channels and a few lines of the image at a time, so that it is still in
//! the cache when its rows are added to the output where they belong.

use std::ops::Range;

use super::{AXES, ConvError, check};
use crate::gemm::{Matrix, Product, Rhs};
use crate::scratch::try_with_scratch;
use crate::{Context, Schedule};

/// Rows of a product that make packing the image worth its while.
const ROWS: usize = 64;
/// Floats of a product that stay in the cache until they are added.
const BLOCK: usize = 1 << 16;

/// One spatial axis of a transposed convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransposedAxis {
    /// Elements of the input.
    pub input: usize,
    /// Elements of the output.
    pub output: usize,
    /// Taps of the window.
    pub kernel: usize,
    /// Distance of the windows of neighbouring elements.
    pub stride: usize,
    /// Distance of neighbouring taps.
    pub dilation: usize,
    /// What is cut off in front of the output.
    pub pad: usize,
}

impl TransposedAxis {
    const SINGLE: Self = Self { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad: 0 };

    /// The output element that a tap of an input element adds to, if it is not cut off.
    fn target(&self, element: usize, tap: usize) -> Option<usize> {
        let at = (element * self.stride + tap * self.dilation).checked_sub(self.pad)?;
        (at < self.output).then_some(at)
    }

    /// The input elements of which a tap is not cut off.
    fn kept(&self, tap: usize) -> Range<usize> {
        let shift = tap * self.dilation;
        let first = self.pad.saturating_sub(shift).div_ceil(self.stride);
        let end = (self.output + self.pad).saturating_sub(shift).div_ceil(self.stride);
        first..end.clamp(first, self.input.max(first))
    }

    /// Whether no place overflows.
    fn fits(&self) -> bool {
        let reach = self.input.checked_mul(self.stride);
        let span = self.kernel.checked_mul(self.dilation);
        let end = reach.zip(span).and_then(|(reach, span)| reach.checked_add(span));
        let out = self.output.checked_add(self.pad);
        self.stride > 0 && self.dilation > 0 && self.kernel > 0 && end.is_some() && out.is_some()
    }
}

/// The geometry of a transposed convolution.
#[derive(Debug, Clone)]
pub struct ConvTranspose {
    batch: usize,
    groups: usize,
    /// Input channels of a group.
    input: usize,
    /// Output channels of a group.
    output: usize,
    axes: [TransposedAxis; AXES],
}

impl ConvTranspose {
    /// The transposed convolution of `[batch, channels[0], ..]` to `[batch, channels[1], ..]`.
    ///
    /// # Errors
    /// When sizes do not fit each other.
    pub fn new(
        batch: usize,
        channels: [usize; 2],
        groups: usize,
        given: &[TransposedAxis],
    ) -> Result<Self, ConvError> {
        let [input, output] = channels;
        if groups == 0 || input % groups != 0 || output % groups != 0 {
            return Err(ConvError::Groups { groups, input, output });
        }
        if given.is_empty() || given.len() > AXES {
            return Err(ConvError::Rank { got: given.len() });
        }
        if let Some(axis) = given.iter().position(|axis| !axis.fits()) {
            return Err(ConvError::Axis { axis });
        }
        let mut axes = [TransposedAxis::SINGLE; AXES];
        axes[AXES - given.len()..].copy_from_slice(given);
        let conv = Self { batch, groups, input: input / groups, output: output / groups, axes };
        conv.sizes().ok_or(ConvError::TooLarge)?;
        Ok(conv)
    }

    /// Convolves `input` with `weights`, `[input channels, output channels / groups, ..]`; the bias
    /// has a value per output channel.
    ///
    /// # Errors
    /// When a slice is too short.
    pub fn run(
        &self,
        context: Context<'_>,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        out: &mut [f32],
    ) -> Result<(), ConvError> {
        let [input_len, weights_len, out_len] = self.sizes().ok_or(ConvError::TooLarge)?;
        check("input", input_len, input.len())?;
        check("weights", weights_len, weights.len())?;
        check("output", out_len, out.len())?;
        let channels = self.groups * self.output;
        if let Some(bias) = bias {
            check("bias", channels, bias.len())?;
        }
        let plane = self.plane(|axis| axis.output);
        if out_len == 0 {
            return Ok(());
        }
        let wanted = (self.batch * channels).div_ceil(2 * context.pool.size());
        let together = (ROWS / self.plane(|axis| axis.kernel)).clamp(1, wanted.max(1));
        let failure = std::sync::OnceLock::new();
        let out = &mut out[..out_len];
        context.pool.parallel_pieces(out, together * plane, Schedule::Dynamic, |index, piece| {
            let mut first = index * together;
            let mut piece = piece;
            // A piece may belong to several groups or images.
            while !piece.is_empty() {
                let room = self.output - first % self.output;
                let (part, rest) = piece.split_at_mut((room * plane).min(piece.len()));
                if let Some(bias) = bias {
                    let bias = bias[first % channels..].iter();
                    part.chunks_exact_mut(plane).zip(bias).for_each(|(out, bias)| out.fill(*bias));
                } else {
                    part.fill(0.0);
                }
                if self.input > 0
                    && let Err(error) = self.add_windows(context, input, weights, first, part)
                {
                    failure.get_or_init(|| error);
                }
                first += room;
                piece = rest;
            }
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    /// Adds the windows of all elements to some output channels of one group.
    fn add_windows(
        &self,
        context: Context<'_>,
        input: &[f32],
        weights: &[f32],
        first: usize,
        out: &mut [f32],
    ) -> Result<(), ConvError> {
        let (elements, plane) = (self.plane(|axis| axis.input), self.plane(|axis| axis.output));
        let taps = self.plane(|axis| axis.kernel);
        let (group, channel) = (first / self.output, first % self.output);
        let rows = out.len() / plane * taps;
        let columns = self.output * taps;
        // Weights lie by input channel; the product wants them by output channel and tap.
        let weights = &weights[group % self.groups * self.input * columns + channel * taps..];
        let lhs = Matrix::strided(weights, [rows, self.input], [1, columns])?;
        let image = &input[group * self.input * elements..][..self.input * elements];
        let width = self.axes[2].input;
        let lines = elements / width.max(1);
        let at_once = (BLOCK / rows.saturating_mul(width).max(1)).max(1);
        for start in (0..lines).step_by(at_once) {
            let block = start..(start + at_once).min(lines);
            let count = block.len() * width;
            let rhs = &image[(block.start * width).min(image.len())..];
            let rhs = Matrix::strided(rhs, [self.input, count], [elements, 1])?;
            try_with_scratch(rows.saturating_mul(count), |windows| {
                Product::new(lhs, Rhs::Matrix(rhs)).run(context, windows, count)?;
                for (windows, out) in windows.chunks_exact(taps * count).zip(out.chunks_mut(plane))
                {
                    self.add_channel(windows, &block, out);
                }
                Ok::<_, ConvError>(())
            })??;
        }
        Ok(())
    }

    /// Adds the windows of some lines of elements, `[taps, lines, width]`, to one output channel.
    fn add_channel(&self, windows: &[f32], lines: &Range<usize>, out: &mut [f32]) {
        let [depth, height, width] = &self.axes;
        let plane = height.output * width.output;
        let mut windows = windows.chunks_exact(width.input.max(1));
        for d in 0..depth.kernel {
            for h in 0..height.kernel {
                for w in 0..width.kernel {
                    let kept = width.kept(w);
                    for line in lines.clone() {
                        let Some(values) = windows.next() else { return };
                        let target = depth
                            .target(line / height.input, d)
                            .zip(height.target(line % height.input, h));
                        let Some((z, y)) = target.filter(|_| !kept.is_empty()) else { continue };
                        let first = kept.start * width.stride + w * width.dilation - width.pad;
                        let row = &mut out[z * plane + y * width.output..][..width.output];
                        add_strided(&values[kept.clone()], &mut row[first..], width.stride);
                    }
                }
            }
        }
    }

    fn plane(&self, size: impl Fn(&TransposedAxis) -> usize) -> usize {
        self.axes.iter().map(size).product()
    }

    /// Elements of input, weights and output.
    fn sizes(&self) -> Option<[usize; 3]> {
        let product = |channels: &[usize], size: fn(&TransposedAxis) -> usize| {
            let factors = channels.iter().copied().chain(self.axes.iter().map(size));
            factors.into_iter().try_fold(1_usize, usize::checked_mul)
        };
        let Self { batch, groups, input, output, .. } = *self;
        Some([
            product(&[batch, groups, input], |axis| axis.input)?,
            product(&[groups, input, output], |axis| axis.kernel)?,
            product(&[batch, groups, output], |axis| axis.output)?,
        ])
    }
}

/// Adds values to elements that are a stride apart.
fn add_strided(values: &[f32], out: &mut [f32], stride: usize) {
    match stride {
        1 => out.iter_mut().zip(values).for_each(|(out, value)| *out += value),
        2 => {
            let (pairs, rest) = out.as_chunks_mut::<2>();
            pairs.iter_mut().zip(values).for_each(|(pair, value)| pair[0] += value);
            if let (Some(last), Some(value)) = (rest.first_mut(), values.get(pairs.len())) {
                *last += value;
            }
        }
        _ => out.iter_mut().step_by(stride).zip(values).for_each(|(out, value)| *out += value),
    }
}

#[cfg(test)]
mod tests {
    use super::{ConvTranspose, TransposedAxis};
    use crate::context::testing::{assert_close, everywhere, noise};
    use crate::conv::ConvError;

    /// The definition: every input element adds its window.
    fn exact(conv: &ConvTranspose, input: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f64> {
        let [depth, height, width] = &conv.axes;
        let cube = |size: fn(&TransposedAxis) -> usize| {
            let [d, h, w] = [size(depth), size(height), size(width)];
            (0..d * h * w).map(move |at| [at / (h * w), at / w % h, at % w])
        };
        let (elements, plane) = (conv.plane(|axis| axis.input), conv.plane(|axis| axis.output));
        let taps = conv.plane(|axis| axis.kernel);
        let mut out = Vec::new();
        for image in 0..conv.batch {
            for channel in 0..conv.groups * conv.output {
                let mut sums = vec![f64::from(bias[channel]); plane];
                let group = channel / conv.output;
                for c in group * conv.input..(group + 1) * conv.input {
                    let source = &input[(image * conv.groups * conv.input + c) * elements..];
                    let weights = &weights[(c * conv.output + channel % conv.output) * taps..];
                    for (from, at) in cube(|axis| axis.input).enumerate() {
                        for (tap, offset) in cube(|axis| axis.kernel).enumerate() {
                            let target: Option<Vec<usize>> = (0..3)
                                .map(|axis| conv.axes[axis].target(at[axis], offset[axis]))
                                .collect();
                            if let Some(to) = target {
                                let to = (to[0] * height.output + to[1]) * width.output + to[2];
                                sums[to] += f64::from(source[from]) * f64::from(weights[tap]);
                            }
                        }
                    }
                }
                out.extend(sums);
            }
        }
        out
    }

    fn axis(
        [input, output, kernel]: [usize; 3],
        [stride, dilation, pad]: [usize; 3],
    ) -> TransposedAxis {
        TransposedAxis { input, output, kernel, stride, dilation, pad }
    }

    #[test]
    fn transposed_convolutions_agree_with_their_definition() {
        let cases = [
            (1, [3, 5], 1, vec![axis([7, 14, 2], [2, 1, 0]), axis([9, 18, 2], [2, 1, 0])]),
            (2, [4, 6], 2, vec![axis([5, 9, 3], [2, 1, 1]), axis([6, 6, 3], [1, 2, 4])]),
            (1, [6, 6], 6, vec![axis([4, 17, 4], [4, 2, 1])]),
            (
                1,
                [2, 3],
                1,
                vec![
                    axis([3, 5, 3], [2, 1, 1]),
                    axis([2, 8, 2], [3, 1, 0]),
                    axis([4, 3, 1], [1, 1, 1]),
                ],
            ),
            (2, [5, 20], 1, vec![axis([50, 101, 3], [2, 1, 0]), axis([40, 79, 3], [2, 1, 1])]),
            (1, [2, 2], 1, vec![axis([3, 2, 2], [5, 1, 9])]),
        ];
        everywhere(|cx| {
            for (batch, channels, groups, axes) in &cases {
                let conv = ConvTranspose::new(*batch, *channels, *groups, axes).unwrap();
                let [input, weights, out] = conv.sizes().unwrap();
                let (input, weights) = (noise(input, 1), noise(weights, 2));
                let bias = noise(channels[1], 3);
                let mut out = vec![f32::NAN; out];
                conv.run(cx, &input, &weights, Some(&bias), &mut out).unwrap();
                let exact = exact(&conv, &input, &weights, &bias);
                assert_close(&out, &exact, 1e-5, 10.0, &format!("{conv:?}"));
            }
        });
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let fine = axis([2, 4, 2], [2, 1, 0]);
        assert!(matches!(
            ConvTranspose::new(1, [3, 4], 2, &[fine]),
            Err(ConvError::Groups { groups: 2, input: 3, output: 4 })
        ));
        let far = TransposedAxis { stride: usize::MAX, ..fine };
        assert_eq!(
            ConvTranspose::new(1, [1, 1], 1, &[fine, far]).unwrap_err(),
            ConvError::Axis { axis: 1 }
        );
        let wide = TransposedAxis { output: usize::MAX / 2, ..fine };
        assert_eq!(ConvTranspose::new(1, [1, 9], 1, &[wide]).unwrap_err(), ConvError::TooLarge);
    }
}
