//! Maximum and average over windows of images, one to three spatial axes.
//!
//! Windows are separable: an image is copied with its padding, its rows are folded down the windows,
//! and the result along the rows. Padding makes all of that run over whole images in vectors, however
//! short a row is; results between two windows are computed and not used.

#[cfg(test)]
mod tests;
mod window;

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;
use crate::memory::{NoMemory, filled};

pub use window::PoolAxis;

/// What is made of the elements of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The greatest; padding does not take part.
    Max,
    /// The mean of the elements inside the image.
    Average,
    /// The mean with padding counted as zeros.
    AverageWithPadding,
}

const COST: Picoseconds = Picoseconds(250);

/// Pools `planes` images (batch times channels) over up to three axes, the last innermost.
///
/// # Errors
/// When there is no memory for an image with its padding.
///
/// # Panics
/// When there are more axes, or a slice does not fit them.
pub fn pool<T: Element>(
    cx: Context<'_>,
    kind: Pooling,
    axes: &[PoolAxis],
    planes: usize,
    src: &[T],
    out: &mut [T],
) -> Result<(), NoMemory> {
    let axes = window::three(axes);
    let input: usize = axes.iter().map(|axis| axis.input).product();
    let output: usize = axes.iter().map(|axis| axis.output).product();
    assert_eq!((src.len(), out.len()), (planes * input, planes * output), "{axes:?}");
    let [_, high, wide] = &axes;
    let cost = Picoseconds(COST.0 * (2 + high.kernel + wide.kernel).min(16));
    let shares = shares(kind, high, wide);
    cx.try_pieces(out, high.output * wide.output, cost, |first, out| {
        cx.run(Images { kind, axes: &axes, shares: &shares, src, first, out })
    })
}

/// What the sum of each window of an image is multiplied with to be the mean; nothing for a maximum.
fn shares(kind: Pooling, high: &PoolAxis, wide: &PoolAxis) -> Vec<f32> {
    if kind == Pooling::Max {
        return Vec::new();
    }
    let columns: Vec<f32> = (0..wide.output).map(|at| wide.counted(at, kind)).collect();
    let row = |at: usize| {
        let rows = high.counted(at, kind);
        columns.iter().map(move |columns| 1.0 / (rows * columns))
    };
    (0..high.output).flat_map(row).collect()
}

/// Some images of the output, one for each plane and index of the first axis, from `first` on.
struct Images<'a, T> {
    kind: Pooling,
    axes: &'a [PoolAxis; 3],
    shares: &'a [f32],
    src: &'a [T],
    first: usize,
    out: &'a mut [T],
}

impl<T: Element> Kernel for Images<'_, T> {
    type Output = Result<(), NoMemory>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        match self.kind {
            Pooling::Max => self.fold(
                s,
                f32::NEG_INFINITY,
                #[inline(always)]
                |a, b| s.max_or_nan(a, b),
            ),
            _ => self.fold(
                s,
                0.0,
                #[inline(always)]
                |a, b| s.add(a, b),
            ),
        }
    }
}

impl<T: Element> Images<'_, T> {
    #[inline(always)]
    fn fold<S: Simd>(
        self,
        s: S,
        neutral: f32,
        f: impl Fn(S::F32, S::F32) -> S::F32 + Copy,
    ) -> Result<(), NoMemory> {
        let [deep, high, wide] = self.axes;
        // The image with its padding; a row more, so that the last vectors may reach past the end.
        let (rows, width) = (high.padded(), wide.padded());
        let lines =
            |rows: usize| filled(rows.saturating_mul(width).saturating_add(S::LANES), neutral);
        let mut padded = lines(rows)?;
        let mut folded = lines(high.output + 1)?;
        let mut results = lines(high.output)?;
        let image = high.input * wide.input;
        let padding = high.pad_before + wide.pad_before + deep.pad_before;
        let direct = deep.kernel == 1 && deep.stride == 1 && padding == 0 && rows * width == image;
        for (index, out) in self.out.chunks_exact_mut(high.output * wide.output).enumerate() {
            let (plane, z) =
                ((self.first + index) / deep.output, (self.first + index) % deep.output);
            let planes = &self.src[plane * deep.input * image..][..deep.input * image];
            // An image without padding is folded where it lies.
            let as_is = if direct { T::as_f32(&planes[z * image..][..image]) } else { None };
            for (tap, z) in deep.inside(z).enumerate().filter(|_| as_is.is_none()) {
                let lines = planes[z * image..][..image].chunks_exact(wide.input);
                let inner = &mut padded[high.pad_before * width + wide.pad_before..];
                for (line, to) in lines.zip(inner.chunks_mut(width)) {
                    let to = &mut to[..wide.input];
                    fold_line(s, line, to, tap == 0, f);
                }
            }
            let spans = if high.stride == 1 { 1 } else { high.output };
            let span = high.output * width / spans;
            for (row, to) in folded.chunks_mut(span).take(spans).enumerate() {
                fold_span(
                    s,
                    &as_is.unwrap_or(&padded)[row * high.stride * width..],
                    high.dilation * width,
                    high.kernel,
                    to,
                    f,
                );
            }
            let whole = &mut results[..high.output * width];
            fold_span(s, &folded, wide.dilation, wide.kernel, whole, f);
            let depth =
                if self.kind == Pooling::Max { 1.0 } else { 1.0 / deep.counted(z, self.kind) };
            for (row, out) in out.chunks_exact_mut(wide.output).enumerate() {
                let from = &results[row * width..];
                let shares = self.shares.get(row * wide.output..(row + 1) * wide.output);
                pick(from, wide.stride, shares, depth, out);
            }
        }
        Ok(())
    }
}

/// Writes a line, or folds it into what is there.
#[inline(always)]
fn fold_line<S: Simd, T: Element>(
    s: S,
    line: &[T],
    to: &mut [f32],
    first: bool,
    f: impl Fn(S::F32, S::F32) -> S::F32,
) {
    for (from, to) in line.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
        let x = T::load_partial(s, from, 0.0);
        let value = if first { x } else { f(s.load_partial(to, 0.0), x) };
        s.store_partial(value, to);
    }
}

/// `to[i]` becomes the fold of `from[i + tap * step]` over all taps.
#[inline(always)]
fn fold_span<S: Simd>(
    s: S,
    from: &[f32],
    step: usize,
    taps: usize,
    to: &mut [f32],
    f: impl Fn(S::F32, S::F32) -> S::F32,
) {
    for (chunk, to) in to.chunks_mut(S::LANES).enumerate() {
        let from = &from[chunk * S::LANES..];
        if to.len() == S::LANES && from.len() >= (taps - 1) * step + S::LANES {
            let mut value = s.load(from);
            for tap in 1..taps {
                value = f(value, s.load(&from[tap * step..]));
            }
            s.store(value, to);
            continue;
        }
        let mut value = load(s, from, to.len());
        for tap in 1..taps {
            value = f(value, load(s, from.get(tap * step..).unwrap_or_default(), to.len()));
        }
        s.store_partial(value, to);
    }
}

/// A vector, or what there is of it.
#[inline(always)]
fn load<S: Simd>(s: S, from: &[f32], wanted: usize) -> S::F32 {
    if wanted == S::LANES && from.len() >= S::LANES {
        s.load(from)
    } else {
        s.load_partial(&from[..wanted.min(from.len())], 0.0)
    }
}

/// Every `stride`-th result of a row, times its share.
#[inline(always)]
fn pick<T: Element>(
    from: &[f32],
    stride: usize,
    shares: Option<&[f32]>,
    depth: f32,
    out: &mut [T],
) {
    match (shares, stride) {
        (None, 1) => out.iter_mut().zip(from).for_each(|(to, &x)| *to = T::from_f32(x)),
        (None, 2) => {
            let picked = from.as_chunks::<2>().0.iter().map(|pair| pair[0]);
            out.iter_mut().zip(picked).for_each(|(to, x)| *to = T::from_f32(x));
        }
        (None, _) => {
            let picked = from.iter().step_by(stride);
            out.iter_mut().zip(picked).for_each(|(to, &x)| *to = T::from_f32(x));
        }
        (Some(shares), 1) => {
            let cells = from.iter().zip(shares);
            out.iter_mut()
                .zip(cells)
                .for_each(|(to, (x, share))| *to = T::from_f32(x * share * depth));
        }
        (Some(shares), 2) => {
            let cells = from.as_chunks::<2>().0.iter().map(|pair| pair[0]).zip(shares);
            out.iter_mut()
                .zip(cells)
                .for_each(|(to, (x, share))| *to = T::from_f32(x * share * depth));
        }
        (Some(shares), _) => {
            let cells = from.iter().step_by(stride).zip(shares);
            out.iter_mut()
                .zip(cells)
                .for_each(|(to, (x, share))| *to = T::from_f32(x * share * depth));
        }
    }
}
