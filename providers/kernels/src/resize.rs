//! Scaling of images: nearest, linear and cubic interpolation along any axes.
//!
//! Interpolation is separable: each axis is a list of taps (source index and weight) per output
//! index, made once by [`Sampling::taps`], and axes are scaled one after the other.

mod taps;
#[cfg(test)]
mod tests;

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;

pub use taps::{Coordinates, Filter, Rounding, Sampling, Taps};

const COST: Picoseconds = Picoseconds(150);

/// Scales one axis of `src`, which is `outer` slabs of the axis by `inner` elements.
///
/// # Panics
/// When a slice does not fit.
pub fn resize_axis<T: Element>(
    cx: Context<'_>,
    taps: &Taps,
    inner: usize,
    src: &[T],
    out: &mut [T],
) {
    let slab = taps.input() * inner;
    assert!(slab > 0 && src.len().is_multiple_of(slab), "whole slabs of {slab}, got {}", src.len());
    assert_eq!(out.len(), src.len() / slab * taps.output() * inner, "outputs");
    let cost = Picoseconds(COST.0 * (1 + taps.per_output()));
    if inner == 1 {
        cx.pieces(out, taps.output(), cost, |first, out| {
            for (row, out) in out.chunks_exact_mut(taps.output()).enumerate() {
                let src = &src[(first + row) * taps.input()..][..taps.input()];
                cx.run(Row { taps, src, out });
            }
        });
    } else {
        cx.pieces(out, inner, cost, |first, out| {
            for (row, out) in out.chunks_exact_mut(inner).enumerate() {
                let (slab_index, at) =
                    ((first + row) / taps.output(), (first + row) % taps.output());
                let src = &src[slab_index * slab..][..slab];
                cx.run(Blend { taps: taps.of(at), src, out });
            }
        });
    }
}

/// Scales the axes of an array of `shape` that have taps, into `out`. Axes that shrink go first, so
/// that the others have less to do; axes that grow go from the inside out, so that most of the work
/// runs along whole rows.
///
/// # Panics
/// When a slice or the axes do not fit `shape`.
pub fn resize<T: Element>(
    cx: Context<'_>,
    axes: &[Option<Taps>],
    src: &[T],
    shape: &[usize],
    out: &mut [T],
) {
    assert_eq!(axes.len(), shape.len(), "taps or none per axis");
    let mut shape = shape.to_vec();
    let mut order: Vec<(usize, &Taps)> =
        axes.iter().enumerate().filter_map(|(axis, taps)| Some((axis, taps.as_ref()?))).collect();
    order.sort_by(|(a, first), (b, second)| {
        let (first, second) = (first.growth().max(1.0), second.growth().max(1.0));
        first.min(1.5).total_cmp(&second.min(1.5)).then(b.cmp(a))
    });
    let Some((last, others)) = order.split_last() else {
        return out.copy_from_slice(src);
    };
    let mut image: Option<Vec<T>> = None;
    for &(axis, taps) in others {
        let inner: usize = shape[axis + 1..].iter().product();
        shape[axis] = taps.output();
        let mut scaled = vec![T::default(); shape.iter().product()];
        if !scaled.is_empty() {
            resize_axis(cx, taps, inner, image.as_deref().unwrap_or(src), &mut scaled);
        }
        image = Some(scaled);
    }
    if !out.is_empty() {
        let inner: usize = shape[last.0 + 1..].iter().product();
        resize_axis(cx, last.1, inner, image.as_deref().unwrap_or(src), out);
    }
}

/// One row of outputs, each from its own taps of the same row.
struct Row<'a, T> {
    taps: &'a Taps,
    src: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> Kernel for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let taps = self.taps.all();
        match self.taps.uniform() {
            Some(1) => self.pick::<1>(taps),
            Some(2) => self.pick::<2>(taps),
            Some(4) => self.pick::<4>(taps),
            _ => {
                for (at, out) in self.out.iter_mut().enumerate() {
                    let taps = self.taps.of(at);
                    let values = taps.iter().map(|tap| self.src[tap.0].to_f32() * tap.1);
                    *out = T::from_f32(values.sum());
                }
            }
        }
    }
}

impl<T: Element> Row<'_, T> {
    /// With the same number of taps for every output.
    #[inline(always)]
    fn pick<const TAPS: usize>(self, taps: &[(usize, f32)]) {
        for (out, taps) in self.out.iter_mut().zip(taps.as_chunks::<TAPS>().0) {
            let mut sum = self.src[taps[0].0].to_f32() * taps[0].1;
            for tap in &taps[1..] {
                sum += self.src[tap.0].to_f32() * tap.1;
            }
            *out = T::from_f32(sum);
        }
    }
}

/// One row of outputs as a weighted sum of rows.
struct Blend<'a, T> {
    taps: &'a [(usize, f32)],
    src: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> Kernel for Blend<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let inner = self.out.len();
        for (chunk, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let mut sum = s.zero();
            for &(index, weight) in self.taps {
                let row = &self.src[index * inner + chunk * S::LANES..][..out.len()];
                let x = if row.len() == S::LANES {
                    T::load(s, row)
                } else {
                    T::load_partial(s, row, 0.0)
                };
                sum = s.mul_add(x, s.splat(weight), sum);
            }
            T::store_partial(s, sum, out);
        }
    }
}
