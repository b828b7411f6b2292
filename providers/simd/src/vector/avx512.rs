//! 512-bit vectors of x86-64.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{Kernel, Simd, bf16_bits};
use crate::Avx512;

const LANES: usize = 16;

type F = __m512;
type I = __m512i;
type M = __mmask16;

/// Calls intrinsics that touch no memory.
macro_rules! proven {
    ($token:ident, $call:expr) => {{
        let _: Avx512 = $token;
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { $call }
    }};
}

impl Avx512 {
    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt"
        )]
        fn compiled<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the CPU has the features.
        unsafe { compiled(self, kernel) }
    }

    /// Runs `kernel` compiled for half as wide registers.
    #[inline]
    pub fn run_narrow<K: Kernel>(self, kernel: K) -> K::Output {
        self.avx2().run(kernel)
    }
}

/// A mask of the first `lanes` lanes, at most all.
#[inline(always)]
fn first(lanes: usize) -> M {
    assert!(lanes <= LANES, "at most a vector");
    ((1_u32 << lanes) - 1) as M
}

impl Simd for Avx512 {
    type F32 = F;
    type I32 = I;
    type Mask = M;

    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        proven!(self, _mm512_set1_ps(value))
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instruction and `src` holds a whole vector.
        unsafe { _mm512_loadu_ps(src.as_ptr()) }
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32], fill: f32) -> F {
        let mask = first(src.len());
        // SAFETY: the token proves the instruction and the mask covers no more than `src`.
        unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, src.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, value: F, dst: &mut [f32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instruction and `dst` holds a whole vector.
        unsafe { _mm512_storeu_ps(dst.as_mut_ptr(), value) }
    }
    #[inline(always)]
    fn store_partial(self, value: F, dst: &mut [f32]) {
        let mask = first(dst.len());
        // SAFETY: the token proves the instruction and the mask covers no more than `dst`.
        unsafe { _mm512_mask_storeu_ps(dst.as_mut_ptr(), mask, value) }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        proven!(self, _mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        proven!(self, _mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        proven!(self, _mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        proven!(self, _mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        proven!(self, _mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: F, b: F, c: F) -> F {
        proven!(self, _mm512_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        proven!(self, _mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        proven!(self, _mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        proven!(self, _mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        proven!(self, _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn floor(self, a: F) -> F {
        proven!(self, _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn ceil(self, a: F) -> F {
        proven!(self, _mm512_roundscale_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn trunc(self, a: F) -> F {
        proven!(self, _mm512_roundscale_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> M {
        proven!(self, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b))
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> M {
        proven!(self, _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> M {
        proven!(self, _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn not_lt(self, a: F, b: F) -> M {
        proven!(self, _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(a, b))
    }
    #[inline(always)]
    fn and_mask(self, a: M, b: M) -> M {
        a & b
    }
    #[inline(always)]
    fn or_mask(self, a: M, b: M) -> M {
        a | b
    }
    #[inline(always)]
    fn not_mask(self, a: M) -> M {
        !a
    }
    #[inline(always)]
    fn any(self, mask: M) -> bool {
        mask != 0
    }
    #[inline(always)]
    fn select(self, mask: M, a: F, b: F) -> F {
        proven!(self, _mm512_mask_blend_ps(mask, b, a))
    }
    #[inline(always)]
    fn select_i32(self, mask: M, a: I, b: I) -> I {
        proven!(self, _mm512_mask_blend_epi32(mask, b, a))
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> I {
        proven!(self, _mm512_set1_epi32(value))
    }
    #[inline(always)]
    fn load_i32(self, src: &[i32]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instruction and `src` holds a whole vector.
        unsafe { _mm512_loadu_si512(src.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_i32(self, value: I, dst: &mut [i32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instruction and `dst` holds a whole vector.
        unsafe { _mm512_storeu_si512(dst.as_mut_ptr().cast(), value) }
    }
    #[inline(always)]
    fn add_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn sub_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_sub_epi32(a, b))
    }
    #[inline(always)]
    fn mul_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_mullo_epi32(a, b))
    }
    #[inline(always)]
    fn min_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_min_epi32(a, b))
    }
    #[inline(always)]
    fn max_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_max_epi32(a, b))
    }
    #[inline(always)]
    fn and_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_and_si512(a, b))
    }
    #[inline(always)]
    fn or_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn xor_i32(self, a: I, b: I) -> I {
        proven!(self, _mm512_xor_si512(a, b))
    }
    #[inline(always)]
    fn shl<const BITS: u32>(self, a: I) -> I {
        proven!(self, _mm512_sllv_epi32(a, _mm512_set1_epi32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn shr<const BITS: u32>(self, a: I) -> I {
        proven!(self, _mm512_srav_epi32(a, _mm512_set1_epi32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn shr_logical<const BITS: u32>(self, a: I) -> I {
        proven!(self, _mm512_srlv_epi32(a, _mm512_set1_epi32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn eq_i32(self, a: I, b: I) -> M {
        proven!(self, _mm512_cmpeq_epi32_mask(a, b))
    }
    #[inline(always)]
    fn gt_i32(self, a: I, b: I) -> M {
        proven!(self, _mm512_cmpgt_epi32_mask(a, b))
    }
    #[inline(always)]
    fn bits(self, a: F) -> I {
        proven!(self, _mm512_castps_si512(a))
    }
    #[inline(always)]
    fn of_bits(self, a: I) -> F {
        proven!(self, _mm512_castsi512_ps(a))
    }
    #[inline(always)]
    fn to_i32(self, a: F) -> I {
        proven!(self, _mm512_cvtps_epi32(a))
    }
    #[inline(always)]
    fn trunc_to_i32(self, a: F) -> I {
        proven!(self, _mm512_cvttps_epi32(a))
    }
    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        proven!(self, _mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        proven!(self, _mm512_reduce_add_ps(a))
    }
    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        proven!(self, _mm512_reduce_max_ps(a))
    }
    #[inline(always)]
    fn reduce_min(self, a: F) -> f32 {
        proven!(self, _mm512_reduce_min_ps(a))
    }
    #[inline(always)]
    fn store_columns(self, rows: [F; 4], dst: &mut [f32], stride: usize) {
        let [a, b, c, d] = rows;
        // Within each 128 bits a square of four by four is transposed.
        let columns = proven!(self, {
            let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            [
                _mm512_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                _mm512_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                _mm512_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm512_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ]
        });
        for (first, column) in columns.into_iter().enumerate() {
            let squares = proven!(
                self,
                [
                    _mm512_extractf32x4_ps::<0>(column),
                    _mm512_extractf32x4_ps::<1>(column),
                    _mm512_extractf32x4_ps::<2>(column),
                    _mm512_extractf32x4_ps::<3>(column)
                ]
            );
            for (square, four) in squares.into_iter().enumerate() {
                let to = &mut dst[(4 * square + first) * stride..][..4];
                // SAFETY: the token proves the instruction and `to` holds four floats.
                unsafe { _mm_storeu_ps(to.as_mut_ptr(), four) }
            }
        }
    }

    #[inline(always)]
    fn load_f16(self, src: &[f16]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(src.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_f16(self, value: F, dst: &mut [f16]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe {
            let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value);
            _mm256_storeu_si256(dst.as_mut_ptr().cast(), halves);
        }
    }
    #[inline(always)]
    fn load_bf16(self, src: &[bf16]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        let wide = unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(src.as_ptr().cast())) };
        self.of_bits(self.shl::<16>(wide))
    }
    #[inline(always)]
    fn store_bf16(self, value: F, dst: &mut [bf16]) {
        let dst = &mut dst[..LANES];
        let rounded = bf16_bits(self, value);
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm256_storeu_si256(dst.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(rounded)) }
    }
    #[inline(always)]
    fn load_i8(self, src: &[i8]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(src.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_i8(self, value: I, dst: &mut [i8]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm_storeu_si128(dst.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(value)) }
    }
    #[inline(always)]
    fn load_u8(self, src: &[u8]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(src.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_u8(self, value: I, dst: &mut [u8]) {
        let dst = &mut dst[..LANES];
        let positive = self.max_i32(value, self.splat_i32(0));
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm_storeu_si128(dst.as_mut_ptr().cast(), _mm512_cvtusepi32_epi8(positive)) }
    }

    #[inline(always)]
    fn mul_pow2(self, a: F, n: F) -> F {
        proven!(self, _mm512_scalef_ps(a, n))
    }
}
