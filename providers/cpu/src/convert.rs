//! Between f32 and the float types that are only stored.

use remuda_simd::{Element, Kernel, Simd};

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
