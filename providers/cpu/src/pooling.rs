//! Maximum and average over windows of images, one to three spatial axes.
//!
//! Windows are separable: for each row of outputs the input rows of its window are folded first, in
//! vectors along the row, and then the columns of that one row.

#[cfg(test)]
mod tests;
mod window;

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;

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
/// # Panics
/// When there are more axes, or a slice does not fit them.
pub fn pool<T: Element>(
    cx: Context<'_>,
    kind: Pooling,
    axes: &[PoolAxis],
    planes: usize,
    src: &[T],
    out: &mut [T],
) {
    let axes = window::three(axes);
    let input: usize = axes.iter().map(|axis| axis.input).product();
    let output: usize = axes.iter().map(|axis| axis.output).product();
    assert_eq!((src.len(), out.len()), (planes * input, planes * output), "{axes:?}");
    let window: usize = axes.iter().map(|axis| axis.kernel.min(8)).sum();
    let cost = Picoseconds(COST.0 * window);
    let row = axes[2].output;
    cx.pieces(out, row, cost, |first, out| {
        cx.run(Rows { kind, axes: &axes, src, first, out });
    });
}

/// Some rows of the output, from the row `first` on.
struct Rows<'a, T> {
    kind: Pooling,
    axes: &'a [PoolAxis; 3],
    src: &'a [T],
    first: usize,
    out: &'a mut [T],
}

impl<T: Element> Kernel for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [deep, high, wide] = self.axes;
        let image = deep.input * high.input * wide.input;
        let neutral = if self.kind == Pooling::Max { f32::NEG_INFINITY } else { 0.0 };
        let mut folded = vec![neutral; wide.span().max(wide.pad_before + wide.input)];
        let mut results = vec![0.0; wide.output];
        let columns: Vec<f32> = (0..wide.output).map(|at| wide.counted(at, self.kind)).collect();
        for (index, out) in self.out.chunks_exact_mut(wide.output).enumerate() {
            let row = self.first + index;
            let (plane, row) =
                (row / (deep.output * high.output), row % (deep.output * high.output));
            let (z, y) = (row / high.output, row % high.output);
            let image = &self.src[plane * image..][..image];
            let inside = &mut folded[wide.pad_before..][..wide.input];
            inside.fill(neutral);
            for z in deep.inside(z) {
                for y in high.inside(y) {
                    let row = &image[(z * high.input + y) * wide.input..][..wide.input];
                    fold_row(s, self.kind, row, inside);
                }
            }
            fold_columns(self.kind, wide, &folded, &mut results);
            if self.kind != Pooling::Max {
                let rows = deep.counted(z, self.kind) * high.counted(y, self.kind);
                for (result, columns) in results.iter_mut().zip(&columns) {
                    *result /= rows * columns;
                }
            }
            for (to, from) in out.chunks_mut(S::LANES).zip(results.chunks(S::LANES)) {
                T::store_partial(s, s.load_partial(from, 0.0), to);
            }
        }
    }
}

/// Folds a row of the input into the row so far.
#[inline(always)]
fn fold_row<S: Simd, T: Element>(s: S, kind: Pooling, row: &[T], folded: &mut [f32]) {
    for (from, to) in row.chunks(S::LANES).zip(folded.chunks_mut(S::LANES)) {
        let (x, sum) = if from.len() == S::LANES {
            (T::load(s, from), s.load(to))
        } else {
            (T::load_partial(s, from, 0.0), s.load_partial(to, 0.0))
        };
        let value = if kind == Pooling::Max { s.max_or_nan(sum, x) } else { s.add(sum, x) };
        s.store_partial(value, to);
    }
}

/// Folds the columns of each window of a row; the row begins with the padding.
#[inline(always)]
fn fold_columns(kind: Pooling, axis: &PoolAxis, folded: &[f32], results: &mut [f32]) {
    results.fill(if kind == Pooling::Max { f32::NEG_INFINITY } else { 0.0 });
    for tap in 0..axis.kernel {
        let from = &folded[tap * axis.dilation..];
        match (kind, axis.stride) {
            (Pooling::Max, 1) => fold_tap::<1>(from, 1, results, greater),
            (Pooling::Max, 2) => fold_tap::<2>(from, 2, results, greater),
            (Pooling::Max, stride) => fold_tap::<0>(from, stride, results, greater),
            (_, 1) => fold_tap::<1>(from, 1, results, |a, b| a + b),
            (_, 2) => fold_tap::<2>(from, 2, results, |a, b| a + b),
            (_, stride) => fold_tap::<0>(from, stride, results, |a, b| a + b),
        }
    }
}

/// The stride is a constant where that lets the compiler use vectors.
#[inline(always)]
fn fold_tap<const STRIDE: usize>(
    from: &[f32],
    stride: usize,
    results: &mut [f32],
    f: impl Fn(f32, f32) -> f32,
) {
    let stride = if STRIDE == 0 { stride } else { STRIDE };
    for (result, &x) in results.iter_mut().zip(from.iter().step_by(stride)) {
        *result = f(*result, x);
    }
}

/// The greater, or NaN.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}
