//! Linear quantisation: `q = round(x / scale) + zero point`, cut to eight bits, and back.

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;
use crate::rows::{always, fold};

const COST: Picoseconds = Picoseconds(200);
/// Pieces are whole cache lines of bytes.
const UNIT: usize = 64;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
}

/// An eight-bit integer.
pub trait Byte: Copy + Default + Send + Sync + sealed::Sealed {
    /// The first lanes of `src`.
    fn load<S: Simd>(s: S, src: &[Self]) -> S::I32;
    /// Writes the first lanes of `dst`, cut to the range.
    fn store<S: Simd>(s: S, value: S::I32, dst: &mut [Self]);
    /// As a float.
    fn to_f32(self) -> f32;
}

impl Byte for i8 {
    #[inline(always)]
    fn load<S: Simd>(s: S, src: &[Self]) -> S::I32 {
        s.load_i8(src)
    }
    #[inline(always)]
    fn store<S: Simd>(s: S, value: S::I32, dst: &mut [Self]) {
        s.store_i8(value, dst);
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Byte for u8 {
    #[inline(always)]
    fn load<S: Simd>(s: S, src: &[Self]) -> S::I32 {
        s.load_u8(src)
    }
    #[inline(always)]
    fn store<S: Simd>(s: S, value: S::I32, dst: &mut [Self]) {
        s.store_u8(value, dst);
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

/// The scale and zero point of each slice along an axis; one of each is a whole tensor's.
#[derive(Debug, Clone, Copy)]
pub struct Quantization<'a, B> {
    /// What a step is worth.
    pub scales: &'a [f32],
    /// What zero is stored as; none is zero.
    pub zero_points: Option<&'a [B]>,
    /// Elements that share a scale and lie together: the product of the axes inside.
    pub inner: usize,
}

impl<B: Byte> Quantization<'_, B> {
    fn check(&self) {
        let count = self.scales.len();
        assert!(count > 0 && self.inner > 0, "a scale and an inner size");
        assert!(
            self.zero_points.is_none_or(|points| points.len() == count),
            "a zero point per scale"
        );
    }

    fn zero_point(&self, index: usize) -> f32 {
        self.zero_points.map_or(0.0, |points| points[index].to_f32())
    }

    /// Calls `body` with runs of elements and the scales and zero points for them: one of each, or
    /// one per element.
    #[inline(always)]
    fn runs(
        &self,
        start: usize,
        length: usize,
        mut body: impl FnMut(usize, usize, &[f32], &[f32]),
    ) {
        if self.inner == 1 && self.scales.len() > 1 {
            let points: Vec<f32> = (0..self.scales.len()).map(|i| self.zero_point(i)).collect();
            let mut at = 0;
            while at < length {
                let first = (start + at) % self.scales.len();
                let count = (self.scales.len() - first).min(length - at);
                body(at, count, &self.scales[first..][..count], &points[first..][..count]);
                at += count;
            }
            return;
        }
        let mut at = 0;
        while at < length {
            let place = start + at;
            let index = place / self.inner % self.scales.len();
            let whole =
                if self.scales.len() == 1 { length } else { self.inner - place % self.inner };
            let count = whole.min(length - at);
            body(at, count, &self.scales[index..=index], &[self.zero_point(index)]);
            at += count;
        }
    }
}

/// Quantises `src`: to the nearest step, halves to even.
///
/// # Panics
/// When the lengths differ.
pub fn quantize<T: Element, B: Byte>(
    cx: Context<'_>,
    with: Quantization<'_, B>,
    src: &[T],
    out: &mut [B],
) {
    assert_eq!(src.len(), out.len(), "as many outputs as inputs");
    with.check();
    cx.pieces(out, UNIT, COST, |first, out| {
        let start = first * UNIT;
        cx.run(Quantize { with, start, src: &src[start..][..out.len()], out });
    });
}

/// Turns `src` back: `(q - zero point) * scale`.
///
/// # Panics
/// When the lengths differ.
pub fn dequantize<T: Element, B: Byte>(
    cx: Context<'_>,
    with: Quantization<'_, B>,
    src: &[B],
    out: &mut [T],
) {
    assert_eq!(src.len(), out.len(), "as many outputs as inputs");
    with.check();
    cx.pieces(out, UNIT, COST, |first, out| {
        let start = first * UNIT;
        cx.run(Dequantize { with, start, src: &src[start..][..out.len()], out });
    });
}

struct Quantize<'a, T, B> {
    with: Quantization<'a, B>,
    start: usize,
    src: &'a [T],
    out: &'a mut [B],
}

/// Greater quotients are cut first, so that they fit an integer.
const FAR: f32 = 65536.0;

impl<T: Element, B: Byte> Kernel for Quantize<'_, T, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.with.runs(
            self.start,
            self.src.len(),
            #[inline(always)]
            |at, count, scales, points| {
                let (src, out) = (&self.src[at..at + count], &mut self.out[at..at + count]);
                let cells = src.chunks(S::LANES).zip(out.chunks_mut(S::LANES));
                for (chunk, (src, out)) in cells.enumerate() {
                    let scale = factor(s, scales, chunk, src.len(), 1.0);
                    let point = s.to_i32(factor(s, points, chunk, src.len(), 0.0));
                    let x = T::load_partial(s, src, 0.0);
                    let steps = s.div(x, scale);
                    let near = s.min(s.splat(FAR), s.max(s.splat(-FAR), steps));
                    let value = s.add_i32(s.to_i32(near), point);
                    store(s, value, out);
                }
            },
        );
    }
}

struct Dequantize<'a, T, B> {
    with: Quantization<'a, B>,
    start: usize,
    src: &'a [B],
    out: &'a mut [T],
}

impl<T: Element, B: Byte> Kernel for Dequantize<'_, T, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.with.runs(
            self.start,
            self.src.len(),
            #[inline(always)]
            |at, count, scales, points| {
                let (src, out) = (&self.src[at..at + count], &mut self.out[at..at + count]);
                let cells = src.chunks(S::LANES).zip(out.chunks_mut(S::LANES));
                for (chunk, (src, out)) in cells.enumerate() {
                    let scale = factor(s, scales, chunk, src.len(), 1.0);
                    let point = factor(s, points, chunk, src.len(), 0.0);
                    let value = s.mul(s.sub(s.to_f32(load(s, src)), point), scale);
                    T::store_partial(s, value, out);
                }
            },
        );
    }
}

/// The factors of a chunk: one for all, or one per element.
#[inline(always)]
fn factor<S: Simd>(s: S, factors: &[f32], chunk: usize, count: usize, fill: f32) -> S::F32 {
    match factors {
        [one] => s.splat(*one),
        _ => s.load_partial(&factors[chunk * S::LANES..][..count], fill),
    }
}

#[inline(always)]
fn load<S: Simd, B: Byte>(s: S, src: &[B]) -> S::I32 {
    if src.len() == S::LANES {
        return B::load(s, src);
    }
    let mut all = [B::default(); remuda_simd::MAX_LANES];
    all[..src.len()].copy_from_slice(src);
    B::load(s, &all)
}

#[inline(always)]
fn store<S: Simd, B: Byte>(s: S, value: S::I32, out: &mut [B]) {
    if out.len() == S::LANES {
        return B::store(s, value, out);
    }
    let mut all = [B::default(); remuda_simd::MAX_LANES];
    B::store(s, value, &mut all);
    out.copy_from_slice(&all[..out.len()]);
}

/// The least and the greatest of these numbers and zero; NaN does not count.
#[must_use]
pub fn range(cx: Context<'_>, values: &[f32]) -> [f32; 2] {
    cx.run(Range(values))
}

struct Range<'a>(&'a [f32]);

impl Kernel for Range<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; 2] {
        // Of a pair with NaN both functions give the second.
        let low = always(
            #[inline(always)]
            |least: S::F32, x: S::F32| s.min(x, least),
        );
        let high = always(
            #[inline(always)]
            |most: S::F32, x: S::F32| s.max(x, most),
        );
        let least = fold(s, self.0, (0.0, 0.0), low, low);
        let most = fold(s, self.0, (0.0, 0.0), high, high);
        [s.reduce_min(least), s.reduce_max(most)]
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test data")]

    use super::{Byte, Quantization, dequantize, quantize, range};
    use crate::context::testing::{everywhere, noise};

    fn agrees<B: Byte + PartialEq + std::fmt::Debug>(low: f64, high: f64, of: fn(f64) -> B) {
        everywhere(|cx| {
            for (outer, axis, inner) in
                [(1, 1, 1003), (3, 5, 77), (40, 33, 1), (2, 64, 16), (9, 1, 50)]
            {
                let scales: Vec<f32> =
                    noise(axis, 1).iter().map(|x| 0.02 + x.abs() / 20.0).collect();
                let middle = f64::midpoint(low, high);
                let points: Vec<B> =
                    (0..axis).map(|i| of((middle + i as f64 % 7.0).floor())).collect();
                for zero_points in [None, Some(&points[..])] {
                    let with = Quantization { scales: &scales, zero_points, inner };
                    let src: Vec<f32> =
                        noise(outer * axis * inner, 2).iter().map(|x| x * 9.0).collect();
                    let mut quantized = vec![B::default(); src.len()];
                    quantize(cx, with, &src, &mut quantized);
                    let mut back = vec![0.0_f32; src.len()];
                    dequantize(cx, with, &quantized, &mut back);
                    for (at, (&x, &q)) in src.iter().zip(&quantized).enumerate() {
                        let channel = at / inner % axis;
                        let point = zero_points.map_or(0.0, |points| points[channel].to_f32());
                        let steps = f64::from((x / scales[channel]).round_ties_even());
                        let expected = of((steps + f64::from(point)).clamp(low, high));
                        assert_eq!(q, expected, "{x} in channel {channel} on {}", cx.isa);
                        assert_eq!(back[at], (q.to_f32() - point) * scales[channel]);
                    }
                }
            }
        });
    }

    #[test]
    fn bytes_are_the_nearest_step_cut_to_their_range() {
        agrees::<i8>(-128.0, 127.0, |x| x as i8);
        agrees::<u8>(0.0, 255.0, |x| x as u8);
    }

    #[test]
    fn infinities_are_cut_like_any_great_number() {
        everywhere(|cx| {
            let with = Quantization { scales: &[0.5], zero_points: Some(&[3_u8]), inner: 1 };
            let mut out = [9; 4];
            quantize(cx, with, &[f32::INFINITY, f32::NEG_INFINITY, 1e30, 0.25], &mut out);
            assert_eq!(out, [255, 0, 255, 3]);
        });
    }

    #[test]
    fn a_range_holds_zero_and_forgets_nan() {
        everywhere(|cx| {
            assert_eq!(range(cx, &[]), [0.0, 0.0]);
            assert_eq!(range(cx, &[3.0, f32::NAN, 2.0]), [0.0, 3.0]);
            for count in [1, 17, 64, 131] {
                let mut values = noise(count, 1);
                values[count / 2] = f32::NAN;
                let least = values.iter().copied().fold(0.0, f32::min);
                let most = values.iter().copied().fold(0.0, f32::max);
                assert_eq!(range(cx, &values), [least, most]);
            }
        });
    }
}
