//! Between f32 and the float types that are only stored. Other numbers convert by
//! [`elementwise::numbers::map`](crate::elementwise::numbers::map) with `as`.

use remuda_simd::{Element, Kernel, Simd};

use crate::Context;
use crate::context::Picoseconds;

/// Converts `src` to f32, exactly.
pub(crate) struct Widen<'a, T> {
    pub(crate) src: &'a [T],
    pub(crate) dst: &'a mut [f32],
}

impl<T: Element> Kernel for Widen<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let whole = self.src.len() - self.src.len() % S::LANES;
        let (src, src_tail) = self.src.split_at(whole);
        let (dst, dst_tail) = self.dst.split_at_mut(whole);
        for (from, to) in src.chunks_exact(S::LANES).zip(dst.chunks_exact_mut(S::LANES)) {
            s.store(T::load(s, from), to);
        }
        if !src_tail.is_empty() {
            s.store_partial(T::load_partial(s, src_tail, 0.0), dst_tail);
        }
    }
}

/// Rounds `src` to the nearest.
pub(crate) struct Narrow<'a, T> {
    pub(crate) src: &'a [f32],
    pub(crate) dst: &'a mut [T],
}

impl<T: Element> Kernel for Narrow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let whole = self.src.len() - self.src.len() % S::LANES;
        let (src, src_tail) = self.src.split_at(whole);
        let (dst, dst_tail) = self.dst.split_at_mut(whole);
        for (from, to) in src.chunks_exact(S::LANES).zip(dst.chunks_exact_mut(S::LANES)) {
            T::store(s, s.load(from), to);
        }
        if !src_tail.is_empty() {
            T::store_partial(s, s.load_partial(src_tail, 0.0), dst_tail);
        }
    }
}

const COST: Picoseconds = Picoseconds(150);

/// Converts to f32, exactly.
///
/// # Panics
/// When the lengths differ.
pub fn widen<T: Element>(cx: Context<'_>, src: &[T], dst: &mut [f32]) {
    assert_eq!(src.len(), dst.len(), "as many outputs as inputs");
    cx.pieces(dst, 64, COST, |first, dst| {
        cx.run(Widen { src: &src[first * 64..][..dst.len()], dst });
    });
}

/// Rounds from f32 to the nearest.
///
/// # Panics
/// When the lengths differ.
pub fn narrow<T: Element>(cx: Context<'_>, src: &[f32], dst: &mut [T]) {
    assert_eq!(src.len(), dst.len(), "as many outputs as inputs");
    cx.pieces(dst, 64, COST, |first, dst| {
        cx.run(Narrow { src: &src[first * 64..][..dst.len()], dst });
    });
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use remuda_simd::Element;

    use super::{narrow, widen};
    use crate::context::testing::{everywhere, noise};

    fn agrees<T: Element + PartialEq + std::fmt::Debug>() {
        everywhere(|cx| {
            let src: Vec<f32> = noise(70_003, 4).iter().map(|x| x * 300.0).collect();
            let mut narrowed = vec![T::default(); src.len()];
            narrow(cx, &src, &mut narrowed);
            let mut back = vec![0.0; src.len()];
            widen(cx, &narrowed, &mut back);
            for ((&x, &got), back) in src.iter().zip(&narrowed).zip(back) {
                assert_eq!(got, T::from_f32(x));
                assert_eq!(back, got.to_f32());
            }
        });
    }

    #[test]
    fn narrow_floats_are_the_nearest_and_come_back_exactly() {
        agrees::<f16>();
        agrees::<bf16>();
    }
}
