//! Kernels that treat an array as rows, and the folds over a row that they share.

use remuda_simd::{Element, Simd};

use crate::Context;
use crate::context::Picoseconds;
use crate::convert::{Narrow, Widen};

/// Rows of f16 or bf16 that are widened together hold at least this many elements.
const WIDENED: usize = 1024;

/// Calls `body` with the index of a row, that row of `src` and the ones after it in f32, and where
/// to write the results.
pub(crate) fn map_rows<T: Element>(
    cx: Context<'_>,
    src: &[T],
    out: &mut [T],
    length: usize,
    cost: Picoseconds,
    body: impl Fn(usize, &[f32], &mut [f32]) + Sync,
) {
    assert_eq!(src.len(), out.len(), "as many outputs as inputs");
    cx.pieces(out, length, cost, |first, piece| {
        let src = &src[first * length..][..piece.len()];
        if let (Some(src), Some(out)) = (T::as_f32(src), T::as_f32_mut(piece)) {
            return body(first, src, out);
        }
        let rows = WIDENED.div_ceil(length).min(piece.len() / length);
        let mut wide = vec![0.0; 2 * rows * length];
        let (wide_src, wide_out) = wide.split_at_mut(rows * length);
        let blocks = src.chunks(rows * length).zip(piece.chunks_mut(rows * length));
        for (block, (src, dst)) in blocks.enumerate() {
            let (wide_src, wide_out) = (&mut wide_src[..src.len()], &mut wide_out[..src.len()]);
            cx.run(Widen { src, dst: wide_src });
            body(first + block * rows, wide_src, wide_out);
            cx.run(Narrow { src: wide_out, dst });
        }
    });
}

/// The closure itself. A closure that is not written as an argument cannot carry an attribute.
#[inline(always)]
pub(crate) const fn always<F>(closure: F) -> F {
    closure
}

/// Folds a row in four independent chains; `fill` stands in for the elements past its end.
#[inline(always)]
pub(crate) fn fold<S: Simd>(
    s: S,
    row: &[f32],
    (start, fill): (f32, f32),
    step: impl Fn(S::F32, S::F32) -> S::F32,
    join: impl Fn(S::F32, S::F32) -> S::F32,
) -> S::F32 {
    let mut chains = [s.splat(start); 4];
    let mut blocks = row.chunks_exact(4 * S::LANES);
    for block in &mut blocks {
        for (chain, chunk) in chains.iter_mut().zip(block.chunks_exact(S::LANES)) {
            *chain = step(*chain, s.load(chunk));
        }
    }
    let mut chunks = blocks.remainder().chunks_exact(S::LANES);
    for (chain, chunk) in chains.iter_mut().zip(&mut chunks) {
        *chain = step(*chain, s.load(chunk));
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        chains[3] = step(chains[3], s.load_partial(tail, fill));
    }
    join(join(chains[0], chains[1]), join(chains[2], chains[3]))
}

/// The sum of a row.
#[inline(always)]
pub(crate) fn sum<S: Simd>(s: S, row: &[f32]) -> f32 {
    let add = always(
        #[inline(always)]
        |a: S::F32, b: S::F32| s.add(a, b),
    );
    s.reduce_add(fold(s, row, (0.0, 0.0), add, add))
}

/// The greatest of a row; unspecified when it holds NaN.
#[inline(always)]
pub(crate) fn max<S: Simd>(s: S, row: &[f32]) -> f32 {
    let max = always(
        #[inline(always)]
        |a: S::F32, b: S::F32| s.max(a, b),
    );
    s.reduce_max(fold(s, row, (f32::NEG_INFINITY, f32::NEG_INFINITY), max, max))
}

/// The sum of the squared distances from `centre`.
#[inline(always)]
pub(crate) fn sum_of_squares<S: Simd>(s: S, row: &[f32], centre: f32) -> f32 {
    let middle = s.splat(centre);
    let square = always(
        #[inline(always)]
        |sum: S::F32, x: S::F32| {
            let off = s.sub(x, middle);
            s.mul_add(off, off, sum)
        },
    );
    let add = always(
        #[inline(always)]
        |a: S::F32, b: S::F32| s.add(a, b),
    );
    s.reduce_add(fold(s, row, (0.0, centre), square, add))
}

/// `f` of every vector of `src`, into `dst`; past the end `src` reads as zero.
#[inline(always)]
pub(crate) fn map<S: Simd>(
    s: S,
    src: &[f32],
    dst: &mut [f32],
    mut f: impl FnMut(S::F32) -> S::F32,
) {
    let whole = src.len() - src.len() % S::LANES;
    let (src, src_tail) = src.split_at(whole);
    let (dst, dst_tail) = dst.split_at_mut(whole);
    for (from, to) in src.chunks_exact(S::LANES).zip(dst.chunks_exact_mut(S::LANES)) {
        s.store(f(s.load(from)), to);
    }
    if !src_tail.is_empty() {
        s.store_partial(f(s.load_partial(src_tail, 0.0)), dst_tail);
    }
}

/// `f` of every vector of `dst`, in place.
#[inline(always)]
pub(crate) fn update<S: Simd>(s: S, dst: &mut [f32], f: impl Fn(S::F32) -> S::F32) {
    let mut chunks = dst.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        s.store(f(s.load(chunk)), chunk);
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        s.store_partial(f(s.load_partial(tail, 0.0)), tail);
    }
}
