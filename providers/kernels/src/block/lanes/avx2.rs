//! Two 256-bit registers per group of rows, with AVX-VNNI or without.

use std::arch::x86_64::*;

use remuda_simd::{Avx2, Avx2Vnni};

use super::{Lanes, ROWS, VECTOR, Work};

/// Runs `work` with the byte product of AVX-VNNI, or with that of 16-bit integers.
pub(super) fn dispatch<W: Work>(token: Avx2, work: W) {
    match token.vnni() {
        Some(vnni) => Halves(vnni).enter(work),
        None => Halves(token).enter(work),
    }
}

/// Calls intrinsics that touch no memory but through references.
macro_rules! proven {
    ($token:expr, $call:expr) => {{
        let _ = $token;
        // SAFETY: the token proves the instructions; pointers come from references of that size.
        unsafe { $call }
    }};
}

/// How 256-bit registers multiply bytes.
trait ByteProduct: Copy + Send + Sync + 'static {
    /// Four signed bytes for every lane, prepared.
    type Quad: Copy;

    fn quad(self, bytes: &[i8; 4]) -> Self::Quad;
    fn dot(self, sums: __m256i, weights: __m256i, quad: Self::Quad) -> __m256i;
    fn enter<W: Work>(self, work: W);
}

impl ByteProduct for Avx2Vnni {
    type Quad = __m256i;

    #[inline(always)]
    fn quad(self, bytes: &[i8; 4]) -> __m256i {
        proven!(self, _mm256_set1_epi32(i32::from_ne_bytes(bytes.map(i8::cast_unsigned))))
    }

    #[inline(always)]
    fn dot(self, sums: __m256i, weights: __m256i, quad: __m256i) -> __m256i {
        proven!(self, _mm256_dpbusd_avx_epi32(sums, weights, quad))
    }

    #[inline]
    fn enter<W: Work>(self, work: W) {
        #[target_feature(enable = "avx2,fma,f16c,avxvnni,bmi1,bmi2,lzcnt,popcnt")]
        #[inline(never)]
        fn compiled<W: Work>(token: Avx2Vnni, work: W) {
            work.run(Halves(token));
        }
        // SAFETY: the token proves that the CPU has the features.
        unsafe { compiled(self, work) }
    }
}

/// The byte product of AVX2 saturates at 16 bits, so even and odd bytes are widened and multiplied
/// apart.
impl ByteProduct for Avx2 {
    type Quad = [__m256i; 2];

    #[inline(always)]
    fn quad(self, bytes: &[i8; 4]) -> [__m256i; 2] {
        proven!(self, {
            let all = _mm256_set1_epi32(i32::from_ne_bytes(bytes.map(i8::cast_unsigned)));
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(all));
            [even, _mm256_srai_epi16::<8>(all)]
        })
    }

    #[inline(always)]
    fn dot(self, sums: __m256i, weights: __m256i, quad: [__m256i; 2]) -> __m256i {
        proven!(self, {
            let even = _mm256_and_si256(weights, _mm256_set1_epi16(0xff));
            let odd = _mm256_srli_epi16::<8>(weights);
            let sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, quad[0]));
            _mm256_add_epi32(sums, _mm256_madd_epi16(odd, quad[1]))
        })
    }

    #[inline]
    fn enter<W: Work>(self, work: W) {
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        #[inline(never)]
        fn compiled<W: Work>(token: Avx2, work: W) {
            work.run(Halves(token));
        }
        // SAFETY: the token proves that the CPU has the features.
        unsafe { compiled(self, work) }
    }
}

/// A group of rows as two halves.
#[derive(Clone, Copy)]
struct Halves<P>(P);

impl<P: ByteProduct> Lanes for Halves<P> {
    type Bytes = [__m256i; 2];
    type Ints = [__m256i; 2];
    type Floats = [__m256; 2];
    type Quad = P::Quad;

    const GROUPS: usize = 1;

    #[inline]
    fn enter<W: Work>(self, work: W) {
        self.0.enter(work);
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; VECTOR]) -> [__m256i; 2] {
        let [a, b] = halves(bytes);
        proven!(self, {
            [_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast())]
        })
    }
    #[inline(always)]
    fn store(self, value: [__m256i; 2], out: &mut [u8; VECTOR]) {
        let out = out.as_mut_ptr();
        proven!(self, {
            _mm256_storeu_si256(out.cast(), value[0]);
            _mm256_storeu_si256(out.add(VECTOR / 2).cast(), value[1]);
        });
    }
    #[inline(always)]
    fn field(self, [a, b]: [__m256i; 2], shift: i32, mask: u8) -> [__m256i; 2] {
        proven!(self, {
            let count = _mm_cvtsi32_si128(shift.abs());
            let [a, b] = match shift {
                0 => [a, b],
                1.. => [_mm256_srl_epi16(a, count), _mm256_srl_epi16(b, count)],
                _ => [_mm256_sll_epi16(a, count), _mm256_sll_epi16(b, count)],
            };
            let mask = _mm256_set1_epi8(mask.cast_signed());
            [_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)]
        })
    }
    #[inline(always)]
    fn or(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        proven!(self, [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])])
    }
    #[inline(always)]
    fn add(self, value: [__m256i; 2], summand: u8) -> [__m256i; 2] {
        proven!(self, {
            let summand = _mm256_set1_epi8(summand.cast_signed());
            [_mm256_add_epi8(value[0], summand), _mm256_add_epi8(value[1], summand)]
        })
    }
    #[inline(always)]
    fn lookup(self, table: &[u8; 16], places: [__m256i; 2]) -> [__m256i; 2] {
        proven!(self, {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            [_mm256_shuffle_epi8(table, places[0]), _mm256_shuffle_epi8(table, places[1])]
        })
    }
    #[inline(always)]
    fn quad(self, bytes: &[i8; 4]) -> P::Quad {
        self.0.quad(bytes)
    }
    #[inline(always)]
    fn dot(self, sums: [__m256i; 2], weights: [__m256i; 2], quad: P::Quad) -> [__m256i; 2] {
        [self.0.dot(sums[0], weights[0], quad), self.0.dot(sums[1], weights[1], quad)]
    }
    #[inline(always)]
    fn int(self, value: i32) -> [__m256i; 2] {
        proven!(self, [_mm256_set1_epi32(value); 2])
    }
    #[inline(always)]
    fn bytes_to_ints(self, bytes: &[u8; ROWS]) -> [__m256i; 2] {
        proven!(self, {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            [_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128::<8>(bytes))]
        })
    }
    #[inline(always)]
    fn signed_bytes_to_ints(self, bytes: &[u8; ROWS]) -> [__m256i; 2] {
        proven!(self, {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            [_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes))]
        })
    }
    #[inline(always)]
    fn int_field(self, [a, b]: [__m256i; 2], shift: u32, mask: i32) -> [__m256i; 2] {
        proven!(self, {
            let count = _mm_cvtsi32_si128(shift.cast_signed());
            let mask = _mm256_set1_epi32(mask);
            [
                _mm256_and_si256(_mm256_srl_epi32(a, count), mask),
                _mm256_and_si256(_mm256_srl_epi32(b, count), mask),
            ]
        })
    }
    #[inline(always)]
    fn int_join(self, low: [__m256i; 2], high: [__m256i; 2]) -> [__m256i; 2] {
        proven!(self, {
            [
                _mm256_or_si256(low[0], _mm256_slli_epi32::<4>(high[0])),
                _mm256_or_si256(low[1], _mm256_slli_epi32::<4>(high[1])),
            ]
        })
    }
    #[inline(always)]
    fn to_floats(self, value: [__m256i; 2]) -> [__m256; 2] {
        proven!(self, [_mm256_cvtepi32_ps(value[0]), _mm256_cvtepi32_ps(value[1])])
    }
    #[inline(always)]
    fn float(self, value: f32) -> [__m256; 2] {
        proven!(self, [_mm256_set1_ps(value); 2])
    }
    #[inline(always)]
    fn floats(self, values: &[f32; ROWS]) -> [__m256; 2] {
        let values = values.as_ptr();
        proven!(self, [_mm256_loadu_ps(values), _mm256_loadu_ps(values.add(ROWS / 2))])
    }
    #[inline(always)]
    fn halves(self, bytes: &[u8; 2 * ROWS]) -> [__m256; 2] {
        let bytes = bytes.as_ptr();
        proven!(self, {
            let first = _mm_loadu_si128(bytes.cast());
            let second = _mm_loadu_si128(bytes.add(ROWS).cast());
            [_mm256_cvtph_ps(first), _mm256_cvtph_ps(second)]
        })
    }
    #[inline(always)]
    fn brain_halves(self, bytes: &[u8; 2 * ROWS]) -> [__m256; 2] {
        let bytes = bytes.as_ptr();
        proven!(self, {
            let first = _mm256_cvtepu16_epi32(_mm_loadu_si128(bytes.cast()));
            let second = _mm256_cvtepu16_epi32(_mm_loadu_si128(bytes.add(ROWS).cast()));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(first)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(second)),
            ]
        })
    }
    #[inline(always)]
    fn put(self, value: [__m256; 2], out: &mut [f32; ROWS]) {
        let out = out.as_mut_ptr();
        proven!(self, {
            _mm256_storeu_ps(out, value[0]);
            _mm256_storeu_ps(out.add(ROWS / 2), value[1]);
        });
    }
    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        proven!(self, [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])])
    }
    #[inline(always)]
    fn mul_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        proven!(self, [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        proven!(self, _mm_prefetch::<_MM_HINT_T0>(address.cast()));
    }
}

#[inline(always)]
fn halves(bytes: &[u8; VECTOR]) -> [&[u8]; 2] {
    let (first, second) = bytes.split_at(VECTOR / 2);
    [first, second]
}
