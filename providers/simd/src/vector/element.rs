//! Float types that are computed in f32: what a kernel needs to be generic over storage.

use half::{bf16, f16};

use super::{MAX_LANES, Simd};

/// A float type in memory whose arithmetic is done in f32 vectors.
pub trait Element: Copy + Send + Sync + Default + 'static {
    /// The first lanes of `src`.
    fn load<S: Simd>(simd: S, src: &[Self]) -> S::F32;
    /// Writes the first lanes of `dst`, rounded to nearest.
    fn store<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]);
    /// All of `src`, at most a vector, and `fill` in the other lanes.
    fn load_partial<S: Simd>(simd: S, src: &[Self], fill: f32) -> S::F32;
    /// Writes all of `dst`, at most a vector.
    fn store_partial<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]);
    /// Exactly.
    fn to_f32(self) -> f32;
    /// To the nearest.
    fn from_f32(value: f32) -> Self;

    /// The slice itself, if this type is f32.
    #[inline(always)]
    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }

    /// The slice itself, if this type is f32.
    #[inline(always)]
    fn as_f32_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

impl Element for f32 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, src: &[Self]) -> S::F32 {
        simd.load(src)
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]) {
        simd.store(value, dst);
    }
    #[inline(always)]
    fn load_partial<S: Simd>(simd: S, src: &[Self], fill: f32) -> S::F32 {
        simd.load_partial(src, fill)
    }
    #[inline(always)]
    fn store_partial<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]) {
        simd.store_partial(value, dst);
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn as_f32(slice: &[Self]) -> Option<&[f32]> {
        Some(slice)
    }
    #[inline(always)]
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]> {
        Some(slice)
    }
}

#[inline(always)]
fn padded<T: Copy>(src: &[T], fill: T) -> [T; MAX_LANES] {
    let mut all = [fill; MAX_LANES];
    all[..src.len()].copy_from_slice(src);
    all
}

impl Element for f16 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, src: &[Self]) -> S::F32 {
        simd.load_f16(src)
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]) {
        simd.store_f16(value, dst);
    }
    #[inline(always)]
    fn load_partial<S: Simd>(simd: S, src: &[Self], fill: f32) -> S::F32 {
        simd.load_f16(&padded(src, Self::from_f32(fill)))
    }
    #[inline(always)]
    fn store_partial<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]) {
        let mut all = [Self::ZERO; MAX_LANES];
        simd.store_f16(value, &mut all);
        dst.copy_from_slice(&all[..dst.len()]);
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.to_f32_const()
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from_f32_const(value)
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, src: &[Self]) -> S::F32 {
        simd.load_bf16(src)
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]) {
        simd.store_bf16(value, dst);
    }
    #[inline(always)]
    fn load_partial<S: Simd>(simd: S, src: &[Self], fill: f32) -> S::F32 {
        simd.load_bf16(&padded(src, Self::from_f32(fill)))
    }
    #[inline(always)]
    fn store_partial<S: Simd>(simd: S, value: S::F32, dst: &mut [Self]) {
        let mut all = [Self::ZERO; MAX_LANES];
        simd.store_bf16(value, &mut all);
        dst.copy_from_slice(&all[..dst.len()]);
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}
