//! Layer and RMS normalisation of rows, alone or fused with the residual addition before it.

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;
use crate::convert::{Narrow, Widen};
use crate::rows::{self, map_rows};

const COST: Picoseconds = Picoseconds(300);

/// How a row is normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowNorm {
    /// To mean zero and variance one; the number is added to the variance.
    Layer(f32),
    /// To a mean square of one; the number is added to the mean square.
    Rms(f32),
}

/// What is multiplied with a normalised row and added to it.
#[derive(Debug, Clone, Copy)]
pub struct Affine<'a> {
    /// One factor per element of a row.
    pub scale: &'a [f32],
    /// One summand per element of a row.
    pub bias: Option<&'a [f32]>,
}

/// Normalises every row of `src`; a row is as long as the scale.
///
/// # Panics
/// When `src` is not whole rows, or the lengths differ.
pub fn norm<T: Element>(
    cx: Context<'_>,
    kind: RowNorm,
    affine: Affine<'_>,
    src: &[T],
    out: &mut [T],
) {
    let length = affine.scale.len();
    check(src.len(), length, affine);
    map_rows(cx, src, out, length, COST, |_, src, out| {
        cx.run(NormRows { kind, affine, src, out });
    });
}

/// Adds `src`, `residual` and `bias` (one per element of a row), writes the sums to `sums`, and
/// normalises every row of these.
///
/// # Panics
/// When `src` is not whole rows, or the lengths differ.
pub fn add_and_norm<T: Element>(
    cx: Context<'_>,
    (kind, affine): (RowNorm, Affine<'_>),
    (src, residual): (&[T], &[T]),
    bias: Option<&[f32]>,
    sums: &mut [T],
    out: &mut [T],
) {
    let length = affine.scale.len();
    check(src.len(), length, affine);
    let lengths = [residual.len(), sums.len(), out.len()];
    assert!(lengths.iter().all(|&other| other == src.len()), "as many outputs as inputs");
    cx.piece_pairs((sums, length), (out, length), COST, |first, sums, out| {
        let mut wide = vec![0.0; 3 * length];
        let (sum, rest) = wide.split_at_mut(length);
        let (other, result) = rest.split_at_mut(length);
        for (row, (sums, out)) in sums.chunks_mut(length).zip(out.chunks_mut(length)).enumerate() {
            let at = (first + row) * length;
            let (src, residual) = (&src[at..at + length], &residual[at..at + length]);
            let inputs = (T::as_f32(src), T::as_f32(residual));
            match (inputs, T::as_f32_mut(sums), T::as_f32_mut(out)) {
                ((Some(a), Some(b)), Some(sums), Some(out)) => {
                    cx.run(AddRow { a, b, bias, out: sums });
                    cx.run(NormRows { kind, affine, src: sums, out });
                }
                _ => {
                    cx.run(Widen { src, dst: result });
                    cx.run(Widen { src: residual, dst: other });
                    cx.run(AddRow { a: result, b: other, bias, out: sum });
                    cx.run(Narrow { src: sum, dst: sums });
                    cx.run(NormRows { kind, affine, src: sum, out: result });
                    cx.run(Narrow { src: result, dst: out });
                }
            }
        }
    });
}

fn check(count: usize, length: usize, affine: Affine<'_>) {
    assert!(
        length > 0 && count.is_multiple_of(length),
        "expected whole rows of {length}, got {count}"
    );
    assert!(affine.bias.is_none_or(|bias| bias.len() == length), "a bias per element of a row");
}

struct AddRow<'a> {
    a: &'a [f32],
    b: &'a [f32],
    bias: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Kernel for AddRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.bias {
            Some(bias) => {
                let terms = self.a.iter().zip(self.b).zip(bias);
                self.out.iter_mut().zip(terms).for_each(|(to, ((a, b), bias))| *to = a + b + bias);
            }
            None => {
                let terms = self.a.iter().zip(self.b);
                self.out.iter_mut().zip(terms).for_each(|(to, (a, b))| *to = a + b);
            }
        }
    }
}

struct NormRows<'a> {
    kind: RowNorm,
    affine: Affine<'a>,
    src: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for NormRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let length = self.affine.scale.len();
        let rows = self.src.chunks_exact(length).zip(self.out.chunks_exact_mut(length));
        for (src, out) in rows {
            let (mean, epsilon) = match self.kind {
                RowNorm::Layer(epsilon) => (rows::sum(s, src) / length as f32, epsilon),
                RowNorm::Rms(epsilon) => (0.0, epsilon),
            };
            let variance = rows::sum_of_squares(s, src, mean) / length as f32;
            let factor = 1.0 / (variance + epsilon).sqrt();
            scale_row(s, src, (mean, factor), self.affine, out);
        }
    }
}

/// `(x - mean) factor scale + bias`, vector by vector.
#[inline(always)]
fn scale_row<S: Simd>(
    s: S,
    src: &[f32],
    (mean, factor): (f32, f32),
    affine: Affine<'_>,
    out: &mut [f32],
) {
    let (mean, factor) = (s.splat(mean), s.splat(factor));
    let scaled = rows::always(
        #[inline(always)]
        |x: S::F32, scale: S::F32| s.mul(s.mul(s.sub(x, mean), factor), scale),
    );
    let whole = src.len() - src.len() % S::LANES;
    let (src, src_tail) = src.split_at(whole);
    let (out, out_tail) = out.split_at_mut(whole);
    let (scale, scale_tail) = affine.scale.split_at(whole);
    let cells = src.chunks_exact(S::LANES).zip(scale.chunks_exact(S::LANES));
    let cells = cells.zip(out.chunks_exact_mut(S::LANES));
    let tail = scaled(s.load_partial(src_tail, 0.0), s.load_partial(scale_tail, 0.0));
    match affine.bias.map(|bias| bias.split_at(whole)) {
        None => {
            for ((from, scale), to) in cells {
                s.store(scaled(s.load(from), s.load(scale)), to);
            }
            s.store_partial(tail, out_tail);
        }
        Some((bias, bias_tail)) => {
            for (((from, scale), to), bias) in cells.zip(bias.chunks_exact(S::LANES)) {
                s.store(s.add(scaled(s.load(from), s.load(scale)), s.load(bias)), to);
            }
            s.store_partial(s.add(tail, s.load_partial(bias_tail, 0.0)), out_tail);
        }
    }
}
