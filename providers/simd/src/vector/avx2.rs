//! 256-bit vectors of x86-64.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{Kernel, Simd, bf16_bits};
use crate::Avx2;

const LANES: usize = 8;

type F = __m256;
type I = __m256i;
type M = __m256;

/// Calls intrinsics that touch no memory.
macro_rules! proven {
    ($token:ident, $call:expr) => {{
        let _: Avx2 = $token;
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { $call }
    }};
}

impl Avx2 {
    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the CPU has the features.
        unsafe { compiled(self, kernel) }
    }
}

/// A mask of the first `lanes` lanes, at most all.
#[inline(always)]
fn first(token: Avx2, lanes: usize) -> I {
    static ONES_THEN_ZEROS: [i32; 2 * LANES] =
        [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    token.load_i32(&ONES_THEN_ZEROS[LANES - lanes..])
}

impl Simd for Avx2 {
    type F32 = F;
    type I32 = I;
    type Mask = M;

    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        proven!(self, _mm256_set1_ps(value))
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instruction and `src` holds a whole vector.
        unsafe { _mm256_loadu_ps(src.as_ptr()) }
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32], fill: f32) -> F {
        let mask = first(self, src.len());
        // SAFETY: the token proves the instructions and the mask covers no more than `src`.
        unsafe {
            let loaded = _mm256_maskload_ps(src.as_ptr(), mask);
            _mm256_blendv_ps(_mm256_set1_ps(fill), loaded, _mm256_castsi256_ps(mask))
        }
    }
    #[inline(always)]
    fn store(self, value: F, dst: &mut [f32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instruction and `dst` holds a whole vector.
        unsafe { _mm256_storeu_ps(dst.as_mut_ptr(), value) }
    }
    #[inline(always)]
    fn store_partial(self, value: F, dst: &mut [f32]) {
        let mask = first(self, dst.len());
        // SAFETY: the token proves the instruction and the mask covers no more than `dst`.
        unsafe { _mm256_maskstore_ps(dst.as_mut_ptr(), mask, value) }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        proven!(self, _mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        proven!(self, _mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        proven!(self, _mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        proven!(self, _mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        proven!(self, _mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: F, b: F, c: F) -> F {
        proven!(self, _mm256_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        proven!(self, _mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        proven!(self, _mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        proven!(self, _mm256_sqrt_ps(a))
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        proven!(self, _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn floor(self, a: F) -> F {
        proven!(self, _mm256_round_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn ceil(self, a: F) -> F {
        proven!(self, _mm256_round_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn trunc(self, a: F) -> F {
        proven!(self, _mm256_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> M {
        proven!(self, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> M {
        proven!(self, _mm256_cmp_ps::<_CMP_LE_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> M {
        proven!(self, _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn not_lt(self, a: F, b: F) -> M {
        proven!(self, _mm256_cmp_ps::<_CMP_NLT_UQ>(a, b))
    }
    #[inline(always)]
    fn and_mask(self, a: M, b: M) -> M {
        proven!(self, _mm256_and_ps(a, b))
    }
    #[inline(always)]
    fn or_mask(self, a: M, b: M) -> M {
        proven!(self, _mm256_or_ps(a, b))
    }
    #[inline(always)]
    fn not_mask(self, a: M) -> M {
        proven!(self, _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))))
    }
    #[inline(always)]
    fn any(self, mask: M) -> bool {
        proven!(self, _mm256_movemask_ps(mask) != 0)
    }
    #[inline(always)]
    fn select(self, mask: M, a: F, b: F) -> F {
        proven!(self, _mm256_blendv_ps(b, a, mask))
    }
    #[inline(always)]
    fn select_i32(self, mask: M, a: I, b: I) -> I {
        self.bits(self.select(mask, self.of_bits(a), self.of_bits(b)))
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> I {
        proven!(self, _mm256_set1_epi32(value))
    }
    #[inline(always)]
    fn load_i32(self, src: &[i32]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instruction and `src` holds a whole vector.
        unsafe { _mm256_loadu_si256(src.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_i32(self, value: I, dst: &mut [i32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instruction and `dst` holds a whole vector.
        unsafe { _mm256_storeu_si256(dst.as_mut_ptr().cast(), value) }
    }
    #[inline(always)]
    fn add_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_add_epi32(a, b))
    }
    #[inline(always)]
    fn sub_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_sub_epi32(a, b))
    }
    #[inline(always)]
    fn mul_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_mullo_epi32(a, b))
    }
    #[inline(always)]
    fn min_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_min_epi32(a, b))
    }
    #[inline(always)]
    fn max_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_max_epi32(a, b))
    }
    #[inline(always)]
    fn and_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_and_si256(a, b))
    }
    #[inline(always)]
    fn or_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_or_si256(a, b))
    }
    #[inline(always)]
    fn xor_i32(self, a: I, b: I) -> I {
        proven!(self, _mm256_xor_si256(a, b))
    }
    #[inline(always)]
    fn shl<const BITS: u32>(self, a: I) -> I {
        proven!(self, _mm256_sllv_epi32(a, _mm256_set1_epi32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn shr<const BITS: u32>(self, a: I) -> I {
        proven!(self, _mm256_srav_epi32(a, _mm256_set1_epi32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn shr_logical<const BITS: u32>(self, a: I) -> I {
        proven!(self, _mm256_srlv_epi32(a, _mm256_set1_epi32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn eq_i32(self, a: I, b: I) -> M {
        proven!(self, _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)))
    }
    #[inline(always)]
    fn gt_i32(self, a: I, b: I) -> M {
        proven!(self, _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b)))
    }
    #[inline(always)]
    fn bits(self, a: F) -> I {
        proven!(self, _mm256_castps_si256(a))
    }
    #[inline(always)]
    fn of_bits(self, a: I) -> F {
        proven!(self, _mm256_castsi256_ps(a))
    }
    #[inline(always)]
    fn to_i32(self, a: F) -> I {
        proven!(self, _mm256_cvtps_epi32(a))
    }
    #[inline(always)]
    fn trunc_to_i32(self, a: F) -> I {
        proven!(self, _mm256_cvttps_epi32(a))
    }
    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        proven!(self, _mm256_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        proven!(self, {
            let half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
        })
    }
    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        proven!(self, {
            let half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)))
        })
    }
    #[inline(always)]
    fn reduce_min(self, a: F) -> f32 {
        proven!(self, {
            let half = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let pair = _mm_min_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_min_ss(pair, _mm_movehdup_ps(pair)))
        })
    }
    #[inline(always)]
    fn store_columns(self, rows: [F; 4], dst: &mut [f32], stride: usize) {
        let [a, b, c, d] = rows;
        // Within each 128 bits a square of four by four is transposed.
        let columns = proven!(self, {
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ]
        });
        for (first, column) in columns.into_iter().enumerate() {
            let squares = proven!(
                self,
                [_mm256_extractf128_ps::<0>(column), _mm256_extractf128_ps::<1>(column)]
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
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(src.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_f16(self, value: F, dst: &mut [f16]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe {
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value);
            _mm_storeu_si128(dst.as_mut_ptr().cast(), halves);
        }
    }
    #[inline(always)]
    fn load_bf16(self, src: &[bf16]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        let wide = unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(src.as_ptr().cast())) };
        self.of_bits(self.shl::<16>(wide))
    }
    #[inline(always)]
    fn store_bf16(self, value: F, dst: &mut [bf16]) {
        let dst = &mut dst[..LANES];
        let rounded = bf16_bits(self, value);
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe {
            let pairs = _mm256_packus_epi32(rounded, rounded);
            let words = _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(pairs));
            _mm_storeu_si128(dst.as_mut_ptr().cast(), words);
        }
    }
    #[inline(always)]
    fn load_i8(self, src: &[i8]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(src.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_i8(self, value: I, dst: &mut [i8]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe {
            let low = _mm256_castsi256_si128(value);
            let words = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(value));
            _mm_storel_epi64(dst.as_mut_ptr().cast(), _mm_packs_epi16(words, words));
        }
    }
    #[inline(always)]
    fn load_u8(self, src: &[u8]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(src.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_u8(self, value: I, dst: &mut [u8]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instructions and the slice holds a whole vector.
        unsafe {
            let low = _mm256_castsi256_si128(value);
            let words = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(value));
            _mm_storel_epi64(dst.as_mut_ptr().cast(), _mm_packus_epi16(words, words));
        }
    }
}
