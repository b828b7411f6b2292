//! Convolutions of bytes: the same geometry, with products of [`crate::int8`].

use std::ops::Range;

use remuda_simd::{Isa, Kernel, Simd};

use super::image::Layout;
use super::windows::{Run, SLACK, runs};
use super::{Conv, ConvError};
use crate::Context;
use crate::gemm::STRIP;
use crate::int8::{
    ByteOffsets, ByteProduct, ByteRhs, ByteSource, Bytes, Output, PackedRows, Per, QUAD,
    strip_bytes,
};
use crate::memory::filled;

impl Conv {
    /// Convolves bytes with packed weights, one row of `channels * window` bytes per output
    /// channel. Scales and biases of `output` may be per row, which is per output channel; padding
    /// is what stands for zero.
    ///
    /// # Errors
    /// When the weights are not of this convolution, or a slice is too short.
    pub fn run_quantized(
        &self,
        context: Context<'_>,
        (input, input_zero): (Bytes<'_>, i32),
        (weights, weights_zero): (&PackedRows, Per<'_, i32>),
        output: Output<'_>,
    ) -> Result<(), ConvError> {
        let [input_len, _, out_len] = self.sizes().ok_or(ConvError::TooLarge)?;
        super::check("input", input_len, input.len())?;
        if out_len == 0 {
            return Ok(());
        }
        let layout = &Layout::new(&self.shape)?;
        let channel = layout.channel_len();
        let channels = self.batch * self.groups * self.input;
        // The cut to a byte: a zero point is one.
        let fill = input_zero.to_le_bytes()[0];
        let mut arranged = filled((channels * channel).saturating_add(SLACK), fill)?;
        layout.arrange_bytes(context, input.as_u8(), &mut arranged[..channels * channel]);
        let windows = ByteWindows {
            isa: context.isa,
            layout,
            image: &arranged,
            is_signed: input.is_signed(),
            offsets: layout.row_offsets(self.input),
        };
        let outputs = layout.outputs();
        let items: Vec<_> = (0..self.batch * self.groups)
            .map(|index| ByteOffsets {
                lhs_row: index % self.groups * self.output,
                rhs: index * self.input * channel,
                out: index * self.output * outputs,
                bias_row: index % self.groups * self.output,
            })
            .collect();
        let product = ByteProduct {
            lhs: weights,
            rows: self.output,
            lhs_zero: weights_zero,
            rhs: ByteRhs::Source(&windows),
            rhs_zero: Per::Tensor(input_zero),
            items: &items,
        };
        Ok(product.run(context, output, outputs)?)
    }
}

/// The matrix of all windows of an image of bytes.
struct ByteWindows<'a> {
    isa: Isa,
    layout: &'a Layout<'a>,
    image: &'a [u8],
    is_signed: bool,
    /// Where each row of the first output lies.
    offsets: Vec<usize>,
}

impl ByteSource for ByteWindows<'_> {
    fn rows(&self) -> usize {
        self.offsets.len()
    }

    fn columns(&self) -> usize {
        self.layout.outputs()
    }

    fn is_signed(&self) -> bool {
        self.is_signed
    }

    fn pack(&self, start: usize, strips: Range<usize>, out: &mut [u8]) {
        let strip_len = strip_bytes(self.offsets.len());
        if strip_len == 0 {
            return;
        }
        let image = &self.image[start..];
        for (strip, out) in strips.zip(out.chunks_exact_mut(strip_len)) {
            let (runs, count) = runs(self.layout, strip);
            self.isa.run(PackStrip { image, offsets: &self.offsets, runs: &runs[..count], out });
        }
    }
}

/// Writes one strip, four rows at a time: copied side by side, then interleaved.
struct PackStrip<'a> {
    image: &'a [u8],
    offsets: &'a [usize],
    runs: &'a [Run],
    out: &'a mut [u8],
}

impl Kernel for PackStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let quads = self.offsets.chunks(QUAD);
        for (offsets, out) in quads.zip(self.out.as_chunks_mut::<{ STRIP * QUAD }>().0) {
            // A copy of a whole strip may run past the end of a row.
            let mut rows = [[0_u8; 2 * STRIP]; QUAD];
            for (row, offset) in rows.iter_mut().zip(offsets) {
                for run in self.runs {
                    let image = &self.image[offset + run.begin..];
                    row[run.place..][..STRIP].copy_from_slice(&image[..STRIP]);
                }
            }
            let [a, b, c, d] = &rows;
            for (column, out) in out.as_chunks_mut::<QUAD>().0.iter_mut().enumerate() {
                *out = [a[column], b[column], c[column], d[column]];
            }
        }
    }
}
