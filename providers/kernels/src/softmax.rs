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
        1 => cx.run(Rows { kind, src, out, length }),
        _ => cx.run(Slabs { kind, src, out, inner, length }),
    });
}

struct Rows<'a> {
    kind: Softmax,
    src: &'a [f32],
    out: &'a mut [f32],
    length: usize,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut rows = self.src.chunks_exact(self.length);
        let mut next = rows.next();
        let mut next_max = rows::max(s, next.unwrap_or_default());
        for out in self.out.chunks_exact_mut(self.length) {
            let (src, max) = (next.unwrap_or_default(), next_max);
            next = rows.next();
            // The next row's maximum is taken before this row is finished, so that neither waits
            // for the other's chain of dependent instructions.
            match self.kind {
                Softmax::Plain => {
                    let sum = exp_and_sum(s, src, out, max);
                    next_max = rows::max(s, next.unwrap_or_default());
                    let scale = s.splat(1.0 / sum);
                    rows::update(
                        s,
                        out,
                        #[inline(always)]
                        |x| s.mul(x, scale),
                    );
                }
                Softmax::Log => {
                    let sum = sum_of_exp(s, src, max);
                    next_max = rows::max(s, next.unwrap_or_default());
                    let (offset, log) = (s.splat(max), s.splat(sum.ln()));
                    rows::map(
                        s,
                        src,
                        out,
                        #[inline(always)]
                        |x| s.sub(s.sub(x, offset), log),
                    );
                }
            }
        }
    }
}

/// The sum of `e^(x - max)`.
#[inline(always)]
pub(crate) fn sum_of_exp<S: Simd>(s: S, src: &[f32], max: f32) -> f32 {
    let offset = s.splat(max);
    let step = rows::always(
        #[inline(always)]
        |sum: S::F32, x: S::F32| s.add(sum, math::exp_non_positive(s, s.sub(x, offset))),
    );
    let join = rows::always(
        #[inline(always)]
        |a: S::F32, b: S::F32| s.add(a, b),
    );
    s.reduce_add(rows::fold(s, src, (0.0, f32::NEG_INFINITY), step, join))
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
        let first = math::exp_non_positive(s, s.sub(s.load(from), offset));
        let second = math::exp_non_positive(s, s.sub(s.load(&from[S::LANES..]), offset));
        s.store(first, to);
        s.store(second, &mut to[S::LANES..]);
        even = s.add(even, first);
        odd = s.add(odd, second);
    }
    for (from, to) in src_tail.chunks(S::LANES).zip(out_tail.chunks_mut(S::LANES)) {
        let value =
            math::exp_non_positive(s, s.sub(s.load_partial(from, f32::NEG_INFINITY), offset));
        s.store_partial(value, to);
        even = s.add(even, value);
    }
    s.reduce_add(s.add(even, odd))
}

struct Slabs<'a> {
    kind: Softmax,
    src: &'a [f32],
    out: &'a mut [f32],
    inner: usize,
    length: usize,
}

impl Kernel for Slabs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let slab = self.inner * self.length;
        for (src, out) in self.src.chunks_exact(slab).zip(self.out.chunks_exact_mut(slab)) {
            for column in (0..self.inner).step_by(S::LANES) {
                let width = S::LANES.min(self.inner - column);
                columns(s, self.kind, src, out, (self.inner, column, width));
            }
        }
    }
}

/// The columns of a slab that one vector holds.
#[inline(always)]
fn columns<S: Simd>(
    s: S,
    kind: Softmax,
    src: &[f32],
    out: &mut [f32],
    (inner, column, width): (usize, usize, usize),
) {
    let mut max = s.splat(f32::NEG_INFINITY);
    for row in src.chunks_exact(inner) {
        max = s.max(max, s.load_partial(&row[column..column + width], 0.0));
    }
    let mut sum = s.zero();
    for (from, to) in src.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
        let off = s.sub(s.load_partial(&from[column..column + width], 0.0), max);
        let power = math::exp_non_positive(s, off);
        sum = s.add(sum, power);
        let kept = if kind == Softmax::Plain { power } else { off };
        s.store_partial(kept, &mut to[column..column + width]);
    }
    let (scale, log) = (s.div(s.splat(1.0), sum), math::log(s, sum));
    for row in out.chunks_exact_mut(inner) {
        let cells = &mut row[column..column + width];
        let value = s.load_partial(cells, 0.0);
        let last = match kind {
            Softmax::Plain => s.mul(value, scale),
            Softmax::Log => s.sub(value, log),
        };
        s.store_partial(last, cells);
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
