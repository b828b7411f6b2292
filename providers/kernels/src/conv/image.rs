//! The stored form of an image: each axis rearranged as [`super::axis`] says, padding in place.

use std::ops::Deref;

use super::AXES;
use super::axis::Axis;
use remuda_simd::{Kernel, Simd};

use crate::Context;
use crate::memory::{NoMemory, collected};
use crate::pool::Schedule;

/// The axes of a convolution, and the sizes that follow from them.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    axes: [Axis; AXES],
}

/// How the channels of an image are stored.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    shape: &'a Shape,
    /// What is stored that is not padding.
    segments: Vec<Segment>,
    /// Where the window of the first output of each row begins in a stored channel.
    output_rows: Vec<usize>,
}

/// Elements of an input row that are neighbours in the stored form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// The first one in the input channel; the next ones are a stride apart.
    from: usize,
    /// The first one in the stored channel.
    to: usize,
    count: usize,
}

impl Deref for Layout<'_> {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        self.shape
    }
}

impl Shape {
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
}

impl<'a> Layout<'a> {
    /// The layout of images of this shape.
    pub(super) fn new(shape: &'a Shape) -> Result<Self, NoMemory> {
        let [depth, height, width] = &shape.axes;
        let rows = (0..depth.output).flat_map(|d| (0..height.output).map(move |h| (d, h)));
        let starts = rows.map(|(d, h)| (d * height.stored() + h) * width.stored());
        let output_rows = collected(depth.output * height.output, starts)?;
        Ok(Self { shape, segments: segments(&shape.axes), output_rows })
    }

    /// Where the window of an output begins in a stored channel.
    pub(super) fn output_offset(&self, output: usize) -> usize {
        let width = self.axes[2].output;
        self.output_rows[output / width] + output % width
    }

    /// Where the windows of each row of outputs begin in a stored channel.
    pub(super) fn output_rows(&self) -> &[usize] {
        &self.output_rows
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
        let stride = self.axes[2].stride;
        for &Segment { from, to, count } in &self.segments {
            let (input, out) = (&input[from..], &mut out[to..to + count]);
            match stride {
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
                _ => {
                    for (out, value) in out.iter_mut().zip(input.iter().step_by(stride)) {
                        *out = *value;
                    }
                }
            }
        }
    }
}

/// All segments of a channel.
fn segments([depth, height, width]: &[Axis; AXES]) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (d_to, d) in depth.sources() {
        for (h_to, h) in height.sources() {
            let from = (d * height.input + h) * width.input;
            let to = (d_to * height.stored() + h_to) * width.stored();
            for (slot, range) in width.inner().enumerate() {
                let Some((first, places)) = range else { continue };
                segments.push(Segment {
                    from: from + first,
                    to: to + slot * width.length + places.start,
                    count: places.len(),
                });
            }
        }
    }
    segments
}

/// Writes all channels that `out` holds.
struct Arrange<'a> {
    layout: &'a Layout<'a>,
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
