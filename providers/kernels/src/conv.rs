//! Convolutions of f32 over one to three spatial axes, layout `[batch, channels, ..]`.
//!
//! A convolution is a product: the weights, one row per output channel, times a matrix whose
//! columns are the windows of the image. That matrix is never stored: `windows` writes the strips
//! of it that a tile is about to use. To make those strips contiguous copies whatever the strides,
//! paddings and dilations are, `image` first rearranges the image per axis (`axis`). A
//! convolution of single channels has no such product and is computed directly (`depthwise`).

mod axis;
mod depthwise;
mod image;
mod quantized;
#[cfg(test)]
mod tests;
mod transposed;
mod windows;

use crate::Context;
use crate::gemm::{Epilogue, GemmError, Matrix, Offsets, Product, Rhs};
use crate::int8::ByteError;
use crate::memory::{NoMemory, collected};
use crate::scratch::try_with_scratch;

use axis::Axis;
use image::{Layout, Shape};
use windows::Windows;

pub use axis::AxisSpec;
pub use transposed::{ConvTranspose, TransposedAxis};

/// Spatial axes that are handled; fewer are padded with axes of size one.
pub const AXES: usize = 3;

/// Floats of rearranged images that are held at once, when a batch does not fit.
const IMAGE_BUDGET: usize = 4 << 20;

/// Why a convolution cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvError {
    /// A window larger than its padded axis, or a size of zero where there must be one.
    #[error(
        "expected a positive kernel, stride and dilation and a window within the padded axis {axis}"
    )]
    Axis {
        /// Which spatial axis.
        axis: usize,
    },
    /// Channels that the groups do not divide.
    #[error("expected channels that {groups} groups divide, got {input} in and {output} out")]
    Groups {
        /// How many groups.
        groups: usize,
        /// Input channels.
        input: usize,
        /// Output channels.
        output: usize,
    },
    /// More spatial axes than are handled.
    #[error("expected one to {AXES} spatial axes, got {got}")]
    Rank {
        /// How many there are.
        got: usize,
    },
    /// Sizes whose product does not fit an integer.
    #[error("expected sizes whose product fits an integer")]
    TooLarge,
    /// What lies between the elements does not fit into memory.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// An operand that does not fit.
    #[error(transparent)]
    Product(#[from] GemmError),
    /// A quantised operand that does not fit.
    #[error(transparent)]
    Bytes(#[from] ByteError),
}

/// The geometry of a convolution for one input shape.
#[derive(Debug, Clone)]
pub struct Conv {
    batch: usize,
    groups: usize,
    /// Input channels of a group.
    input: usize,
    /// Output channels of a group.
    output: usize,
    shape: Shape,
}

impl Conv {
    /// The convolution of `[batch, channels[0], ..]` to `[batch, channels[1], ..]`, one spec per
    /// spatial axis.
    ///
    /// # Errors
    /// When sizes do not fit each other.
    pub fn new(
        batch: usize,
        channels: [usize; 2],
        groups: usize,
        specs: &[AxisSpec],
    ) -> Result<Self, ConvError> {
        let [input, output] = channels;
        if groups == 0 || input % groups != 0 || output % groups != 0 {
            return Err(ConvError::Groups { groups, input, output });
        }
        if specs.is_empty() || specs.len() > AXES {
            return Err(ConvError::Rank { got: specs.len() });
        }
        let mut axes = [(); AXES].map(|()| Axis::single());
        for (index, spec) in specs.iter().enumerate() {
            axes[AXES - specs.len() + index] =
                Axis::new(spec)?.ok_or(ConvError::Axis { axis: index })?;
        }
        let shape = Shape::new(axes).ok_or(ConvError::TooLarge)?;
        let conv = Self { batch, groups, input: input / groups, output: output / groups, shape };
        conv.sizes().ok_or(ConvError::TooLarge)?;
        Ok(conv)
    }

    /// The output's size along the spatial axes, in the order of the specs, last ones significant.
    #[must_use]
    pub fn output_axes(&self) -> [usize; AXES] {
        self.shape.axes().each_ref().map(|axis| axis.output)
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.batch * self.groups * self.output * self.shape.outputs()
    }

    /// Convolves `input` with `weights`, `[output channels, input channels / groups, ..]`.
    ///
    /// The epilogue's row bias has a value per output channel; a residual has the output's layout.
    ///
    /// # Errors
    /// When a slice is too short.
    pub fn run(
        &self,
        context: Context<'_>,
        input: &[f32],
        weights: &[f32],
        epilogue: Epilogue<'_>,
        out: &mut [f32],
    ) -> Result<(), ConvError> {
        let [input_len, weights_len, out_len] = self.sizes().ok_or(ConvError::TooLarge)?;
        check("input", input_len, input.len())?;
        check("weights", weights_len, weights.len())?;
        check("output", out_len, out.len())?;
        epilogue.check(self.groups * self.output, usize::MAX, out_len)?;
        if out_len == 0 {
            return Ok(());
        }
        let layout = &Layout::new(&self.shape)?;
        if self.input == 1 && self.output == 1 {
            return Ok(self.run_depthwise(context, (layout, input), weights, epilogue, out)?);
        }
        if layout.is_plain() {
            return self.multiply(
                context,
                (layout, input),
                weights,
                epilogue,
                (0..self.batch, out),
            );
        }
        let channels = self.groups * self.input;
        let image = channels * layout.channel_len();
        let at_once = (IMAGE_BUDGET / image.max(1)).clamp(1, self.batch.max(1));
        for first in (0..self.batch).step_by(at_once) {
            let images = first..(first + at_once).min(self.batch);
            let start = first * channels * layout.plain_len();
            let length = images.len() * image;
            try_with_scratch(length.saturating_add(windows::SLACK), |arranged| {
                layout.arrange(context, &input[start..], &mut arranged[..length]);
                self.multiply(context, (layout, arranged), weights, epilogue, (images, &mut *out))
            })??;
        }
        Ok(())
    }

    /// The products of `images`, whose rearranged form `arranged` is.
    fn multiply(
        &self,
        context: Context<'_>,
        (layout, arranged): (&Layout<'_>, &[f32]),
        weights: &[f32],
        epilogue: Epilogue<'_>,
        (images, out): (std::ops::Range<usize>, &mut [f32]),
    ) -> Result<(), ConvError> {
        let (depth, outputs) = (self.depth(), layout.outputs());
        let lhs = Matrix::new(weights, self.output, depth)?;
        let count = images.len() * self.groups;
        let items = images
            .enumerate()
            .flat_map(|(slot, image)| (0..self.groups).map(move |group| (slot, image, group)))
            .map(|(slot, image, group)| Offsets {
                lhs: group * self.output * depth,
                rhs: (slot * self.groups + group) * self.input * layout.channel_len(),
                out: (image * self.groups + group) * self.output * outputs,
                row_bias: group * self.output,
            });
        let items = collected(count, items)?;
        let windows;
        let rhs = if layout.is_pointwise() {
            Rhs::Matrix(Matrix::new(arranged, self.input, outputs)?)
        } else {
            windows = Windows::new(context.isa, layout, self.input, arranged);
            Rhs::Source(&windows)
        };
        let product = Product { lhs, rhs, epilogue, items: &items };
        Ok(product.run(context, out, outputs)?)
    }

    /// Elements of a window over all channels of a group.
    fn depth(&self) -> usize {
        self.input * self.shape.taps()
    }

    /// Elements of input, weights and output.
    fn sizes(&self) -> Option<[usize; 3]> {
        let product = |factors: &[usize]| {
            factors.iter().try_fold(1_usize, |product, &factor| product.checked_mul(factor))
        };
        let (batch, groups, shape) = (self.batch, self.groups, &self.shape);
        product(&[batch, groups, self.input, shape.channel_len().max(shape.plain_len())])?;
        Some([
            product(&[batch, groups, self.input, shape.plain_len()])?,
            product(&[groups, self.output, self.input, shape.taps()])?,
            product(&[batch, groups, self.output, shape.outputs()])?,
        ])
    }
}

fn check(what: &'static str, needed: usize, got: usize) -> Result<(), GemmError> {
    if got < needed {
        return Err(GemmError::TooShort { what, needed: Some(needed), got });
    }
    Ok(())
}
