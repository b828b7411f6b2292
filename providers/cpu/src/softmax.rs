//! Softmax and its logarithm over one axis.
//!
//! An array is `outer` slabs of `length` by `inner`. With `inner` of one a slab is a row; otherwise
//! vectors run across the columns of a slab.

use remuda_simd::{Element, Kernel, Simd, math};

use crate::Context;
use crate::context::Picoseconds;
use crate::rows::{self, map_rows};

/// What is computed of each row or column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// `e^x / sum e^x`.
    Plain,
    /// `x - ln sum e^x`.
    Log,
}

const COST: Picoseconds = Picoseconds(500);

/// Softmax over `axis` of an array of `shape`.
///
/// # Panics
/// When `axis` is not one of `shape`, or a slice does not have its number of elements.
pub fn softmax<T: Element>(
    cx: Context<'_>,
    kind: Softmax,
    src: &[T],
    out: &mut [T],
    shape: &[usize],
    axis: usize,
) {
    let length = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    assert_eq!(src.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    map_rows(cx, src, out, length * inner, COST, |_, src, out| match inner {
        1 => cx.run(Row { kind, src, out }),
        _ => cx.run(Columns { kind, src, out, inner }),
    });
}

struct Row<'a> {
    kind: Softmax,
    src: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let max = rows::max(s, self.src);
        match self.kind {
            Softmax::Plain => {
                let sum = exp_and_sum(s, self.src, self.out, max);
                let scale = s.splat(1.0 / sum);
                rows::update(
                    s,
                    self.out,
                    #[inline(always)]
                    |x| s.mul(x, scale),
                );
            }
            Softmax::Log => {
                let offset = s.splat(max);
                let add = rows::always(
                    #[inline(always)]
                    |a: S::F32, b: S::F32| s.add(a, b),
                );
                let step = rows::always(
                    #[inline(always)]
                    |sum: S::F32, x: S::F32| s.add(sum, math::exp(s, s.sub(x, offset))),
                );
                let sum = rows::fold(s, self.src, (0.0, f32::NEG_INFINITY), step, add);
                let log = s.splat(s.reduce_add(sum).ln());
                let value = rows::always(
                    #[inline(always)]
                    |x: S::F32| s.sub(s.sub(x, offset), log),
                );
                rows::map(s, self.src, self.out, value);
            }
        }
    }
}

/// Writes `e^(x - max)` and gives back the sum.
#[inline(always)]
fn exp_and_sum<S: Simd>(s: S, src: &[f32], out: &mut [f32], max: f32) -> f32 {
    let offset = s.splat(max);
    let whole = src.len() - src.len() % (2 * S::LANES);
    let (src, src_tail) = src.split_at(whole);
    let (out, out_tail) = out.split_at_mut(whole);
    let (mut even, mut odd) = (s.zero(), s.zero());
    for (from, to) in src.chunks_exact(2 * S::LANES).zip(out.chunks_exact_mut(2 * S::LANES)) {
        let first = math::exp(s, s.sub(s.load(from), offset));
        let second = math::exp(s, s.sub(s.load(&from[S::LANES..]), offset));
        s.store(first, to);
        s.store(second, &mut to[S::LANES..]);
        even = s.add(even, first);
        odd = s.add(odd, second);
    }
    for (from, to) in src_tail.chunks(S::LANES).zip(out_tail.chunks_mut(S::LANES)) {
        let value = math::exp(s, s.sub(s.load_partial(from, f32::NEG_INFINITY), offset));
        s.store_partial(value, to);
        even = s.add(even, value);
    }
    s.reduce_add(s.add(even, odd))
}

struct Columns<'a> {
    kind: Softmax,
    src: &'a [f32],
    out: &'a mut [f32],
    inner: usize,
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for column in (0..self.inner).step_by(S::LANES) {
            let width = S::LANES.min(self.inner - column);
            let src = self.src.chunks_exact(self.inner).map(|row| &row[column..column + width]);
            let load = rows::always(
                #[inline(always)]
                |row: &[f32]| s.load_partial(row, 0.0),
            );
            let low = s.splat(f32::NEG_INFINITY);
            let max = src.clone().fold(
                low,
                #[inline(always)]
                |max, row| s.max(max, load(row)),
            );
            let mut sum = s.zero();
            let out = self.out.chunks_exact_mut(self.inner);
            for (from, to) in src.zip(out) {
                let off = s.sub(load(from), max);
                let power = math::exp(s, off);
                sum = s.add(sum, power);
                let kept = if self.kind == Softmax::Plain { power } else { off };
                s.store_partial(kept, &mut to[column..column + width]);
            }
            let (scale, log) = (s.div(s.splat(1.0), sum), math::log(s, sum));
            for row in self.out.chunks_exact_mut(self.inner) {
                let cells = &mut row[column..column + width];
                let value = s.load_partial(cells, 0.0);
                let last = match self.kind {
                    Softmax::Plain => s.mul(value, scale),
                    Softmax::Log => s.sub(value, log),
                };
                s.store_partial(last, cells);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Softmax, softmax};
    use crate::context::testing::{assert_close, everywhere, noise};

    fn exact(kind: Softmax, x: &[f32], shape: &[usize], axis: usize) -> Vec<f64> {
        let inner: usize = shape[axis + 1..].iter().product();
        let slab = inner * shape[axis];
        (0..x.len())
            .map(|at| {
                let first = at / slab * slab + at % inner;
                let column = || x[first..].iter().step_by(inner).take(shape[axis]);
                let max = column().fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x)));
                let sum: f64 = column().map(|&x| (f64::from(x) - max).exp()).sum();
                let off = f64::from(x[at]) - max;
                if kind == Softmax::Plain { off.exp() / sum } else { off - sum.ln() }
            })
            .collect()
    }

    #[test]
    fn every_axis_agrees_with_f64() {
        let shapes: [&[usize]; 6] =
            [&[1], &[7, 1], &[3, 37], &[5, 4, 33], &[40, 301], &[3, 70, 129]];
        everywhere(|cx| {
            for shape in shapes {
                let x: Vec<f32> =
                    noise(shape.iter().product(), 5).into_iter().map(|x| x * 20.0).collect();
                for axis in 0..shape.len() {
                    for kind in [Softmax::Plain, Softmax::Log] {
                        let mut y = vec![f32::NAN; x.len()];
                        softmax(cx, kind, &x, &mut y, shape, axis);
                        let expected = exact(kind, &x, shape, axis);
                        let scale = if kind == Softmax::Plain { 1e-6 } else { 1.0 };
                        assert_close(&y, &expected, 3e-6, scale, &format!("{kind:?} {shape:?}"));
                    }
                }
            }
        });
    }

    #[test]
    fn masked_elements_get_nothing_and_fully_masked_rows_are_nan() {
        everywhere(|cx| {
            let x = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY];
            let mut y = [7.0; 4];
            softmax(cx, Softmax::Plain, &x, &mut y, &[2, 2], 1);
            assert_eq!(y[..2], [0.0, 1.0]);
            assert!(y[2].is_nan() && y[3].is_nan());
        });
    }
}
