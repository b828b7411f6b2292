//! Dot products of x86-64: VNNI where it is, else products of 16-bit integers.

use std::arch::x86_64::*;

use remuda_simd::{Avx2, Avx2Vnni, Avx512Vnni};

use super::{Dot, QUAD};

impl Dot for Avx512Vnni {
    type Sums = __m512i;
    type Strip = __m512i;
    type Row = __m512i;

    const COLUMNS: usize = 16;

    #[inline(always)]
    fn zero(self) -> __m512i {
        // SAFETY: the token proves the instruction.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn strip<const SIGNED: bool>(self, quads: &[u8]) -> __m512i {
        let quads = &quads[..Self::COLUMNS * QUAD];
        // SAFETY: the token proves the instruction and the slice holds a vector.
        unsafe { _mm512_loadu_si512(quads.as_ptr().cast()) }
    }

    #[inline(always)]
    fn row<const STRIP_SIGNED: bool>(self, quad: [u8; QUAD]) -> __m512i {
        // SAFETY: the token proves the instruction.
        unsafe { _mm512_set1_epi32(i32::from_le_bytes(quad)) }
    }

    #[inline(always)]
    fn dot<const STRIP_SIGNED: bool>(self, sums: __m512i, row: __m512i, strip: __m512i) -> __m512i {
        let (unsigned, signed) = if STRIP_SIGNED { (row, strip) } else { (strip, row) };
        // SAFETY: the token proves the instruction.
        unsafe { _mm512_dpbusd_epi32(sums, unsigned, signed) }
    }

    #[inline(always)]
    fn store(self, sums: __m512i, out: &mut [i32]) {
        let out = &mut out[..Self::COLUMNS];
        // SAFETY: the token proves the instruction and the slice holds a vector.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) }
    }
}

impl Dot for Avx2Vnni {
    type Sums = __m256i;
    type Strip = __m256i;
    type Row = __m256i;

    const COLUMNS: usize = 8;

    #[inline(always)]
    fn zero(self) -> __m256i {
        // SAFETY: the token proves the instruction.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn strip<const SIGNED: bool>(self, quads: &[u8]) -> __m256i {
        let quads = &quads[..Self::COLUMNS * QUAD];
        // SAFETY: the token proves the instruction and the slice holds a vector.
        unsafe { _mm256_loadu_si256(quads.as_ptr().cast()) }
    }

    #[inline(always)]
    fn row<const STRIP_SIGNED: bool>(self, quad: [u8; QUAD]) -> __m256i {
        // SAFETY: the token proves the instruction.
        unsafe { _mm256_set1_epi32(i32::from_le_bytes(quad)) }
    }

    #[inline(always)]
    fn dot<const STRIP_SIGNED: bool>(self, sums: __m256i, row: __m256i, strip: __m256i) -> __m256i {
        let (unsigned, signed) = if STRIP_SIGNED { (row, strip) } else { (strip, row) };
        // SAFETY: the token proves the instruction.
        unsafe { _mm256_dpbusd_avx_epi32(sums, unsigned, signed) }
    }

    #[inline(always)]
    fn store(self, sums: __m256i, out: &mut [i32]) {
        let out = &mut out[..Self::COLUMNS];
        // SAFETY: the token proves the instruction and the slice holds a vector.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) }
    }
}

/// The byte product of AVX2 saturates at 16 bits, so both sides are widened first. A vector of sums
/// holds two halves of each column, added up at the end.
impl Dot for Avx2 {
    type Sums = __m256i;
    type Strip = __m256i;
    type Row = __m256i;

    const COLUMNS: usize = 4;

    #[inline(always)]
    fn zero(self) -> __m256i {
        // SAFETY: the token proves the instruction.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn strip<const SIGNED: bool>(self, quads: &[u8]) -> __m256i {
        let quads = &quads[..Self::COLUMNS * QUAD];
        // SAFETY: SSE2 is part of the architecture and the slice holds a vector.
        let bytes = unsafe { _mm_loadu_si128(quads.as_ptr().cast()) };
        // SAFETY: the token proves the instructions.
        unsafe { if SIGNED { _mm256_cvtepi8_epi16(bytes) } else { _mm256_cvtepu8_epi16(bytes) } }
    }

    #[inline(always)]
    fn row<const STRIP_SIGNED: bool>(self, quad: [u8; QUAD]) -> __m256i {
        // SAFETY: the token proves the instructions.
        unsafe {
            let bytes = _mm_set1_epi32(i32::from_le_bytes(quad));
            if STRIP_SIGNED { _mm256_cvtepu8_epi16(bytes) } else { _mm256_cvtepi8_epi16(bytes) }
        }
    }

    #[inline(always)]
    fn dot<const STRIP_SIGNED: bool>(self, sums: __m256i, row: __m256i, strip: __m256i) -> __m256i {
        // SAFETY: the token proves the instructions.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(row, strip)) }
    }

    #[inline(always)]
    fn store(self, sums: __m256i, out: &mut [i32]) {
        let mut halves = [0_i32; 8];
        // SAFETY: the token proves the instruction and the array holds a vector.
        unsafe { _mm256_storeu_si256(halves.as_mut_ptr().cast(), sums) };
        for (out, halves) in out[..Self::COLUMNS].iter_mut().zip(halves.as_chunks::<2>().0) {
            *out = halves[0].wrapping_add(halves[1]);
        }
    }
}
