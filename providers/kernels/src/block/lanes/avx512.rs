//! One 512-bit register per group of rows, with VNNI.

use std::arch::x86_64::*;

use remuda_simd::Avx512Vnni;

use super::{Lanes, ROWS, VECTOR, Work};

/// Calls intrinsics that touch no memory but through references.
macro_rules! proven {
    ($token:ident, $call:expr) => {{
        let _: Avx512Vnni = $token;
        // SAFETY: the token proves the instructions; pointers come from references of that size.
        unsafe { $call }
    }};
}

impl Lanes for Avx512Vnni {
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;
    type Quad = __m512i;

    const GROUPS: usize = 4;

    #[inline]
    fn enter<W: Work>(self, work: W) {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt"
        )]
        #[inline(never)]
        fn compiled<W: Work>(token: Avx512Vnni, work: W) {
            work.run(token);
        }
        // SAFETY: the token proves that the CPU has the features.
        unsafe { compiled(self, work) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; VECTOR]) -> __m512i {
        proven!(self, _mm512_loadu_si512(bytes.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, value: __m512i, out: &mut [u8; VECTOR]) {
        proven!(self, _mm512_storeu_si512(out.as_mut_ptr().cast(), value));
    }
    #[inline(always)]
    fn field(self, value: __m512i, shift: i32, mask: u8) -> __m512i {
        proven!(self, {
            let count = _mm_cvtsi32_si128(shift.abs());
            let shifted = match shift {
                0 => value,
                1.. => _mm512_srl_epi16(value, count),
                _ => _mm512_sll_epi16(value, count),
            };
            _mm512_and_si512(shifted, _mm512_set1_epi8(mask.cast_signed()))
        })
    }
    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(self, _mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn add(self, value: __m512i, summand: u8) -> __m512i {
        proven!(self, _mm512_add_epi8(value, _mm512_set1_epi8(summand.cast_signed())))
    }
    #[inline(always)]
    fn lookup(self, table: &[u8; 16], places: __m512i) -> __m512i {
        proven!(self, {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            _mm512_shuffle_epi8(table, places)
        })
    }
    #[inline(always)]
    fn quad(self, bytes: &[i8; 4]) -> __m512i {
        proven!(self, _mm512_set1_epi32(i32::from_ne_bytes(bytes.map(i8::cast_unsigned))))
    }
    #[inline(always)]
    fn dot(self, sums: __m512i, weights: __m512i, quad: __m512i) -> __m512i {
        proven!(self, _mm512_dpbusd_epi32(sums, weights, quad))
    }
    #[inline(always)]
    fn int(self, value: i32) -> __m512i {
        proven!(self, _mm512_set1_epi32(value))
    }
    #[inline(always)]
    fn bytes_to_ints(self, bytes: &[u8; ROWS]) -> __m512i {
        proven!(self, _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.as_ptr().cast())))
    }
    #[inline(always)]
    fn signed_bytes_to_ints(self, bytes: &[u8; ROWS]) -> __m512i {
        proven!(self, _mm512_cvtepi8_epi32(_mm_loadu_si128(bytes.as_ptr().cast())))
    }
    #[inline(always)]
    fn int_field(self, value: __m512i, shift: u32, mask: i32) -> __m512i {
        proven!(self, {
            let shifted = _mm512_srl_epi32(value, _mm_cvtsi32_si128(shift.cast_signed()));
            _mm512_and_si512(shifted, _mm512_set1_epi32(mask))
        })
    }
    #[inline(always)]
    fn int_join(self, low: __m512i, high: __m512i) -> __m512i {
        proven!(self, _mm512_or_si512(low, _mm512_slli_epi32::<4>(high)))
    }
    #[inline(always)]
    fn to_floats(self, value: __m512i) -> __m512 {
        proven!(self, _mm512_cvtepi32_ps(value))
    }
    #[inline(always)]
    fn float(self, value: f32) -> __m512 {
        proven!(self, _mm512_set1_ps(value))
    }
    #[inline(always)]
    fn floats(self, values: &[f32; ROWS]) -> __m512 {
        proven!(self, _mm512_loadu_ps(values.as_ptr()))
    }
    #[inline(always)]
    fn halves(self, bytes: &[u8; 2 * ROWS]) -> __m512 {
        proven!(self, _mm512_cvtph_ps(_mm256_loadu_si256(bytes.as_ptr().cast())))
    }
    #[inline(always)]
    fn brain_halves(self, bytes: &[u8; 2 * ROWS]) -> __m512 {
        proven!(self, {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(bytes.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }
    #[inline(always)]
    fn put(self, value: __m512, out: &mut [f32; ROWS]) {
        proven!(self, _mm512_storeu_ps(out.as_mut_ptr(), value));
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        proven!(self, _mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        proven!(self, _mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        proven!(self, _mm_prefetch::<_MM_HINT_T0>(address.cast()));
    }
}
