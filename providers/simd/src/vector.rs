//! Vectors of 32-bit lanes, as methods of the token that proves their instruction set.
//!
//! A [`Kernel`] is generic over [`Simd`] and marked `#[inline(always)]` all the way down;
//! [`Isa::run`] instantiates it inside one function per instruction set that carries the
//! `target_feature` attribute, into which everything is inlined. A helper that is not
//! `#[inline(always)]` would be compiled without those features, correct but slow. That holds for
//! closures, which carry the attribute where they are passed, and rules out `array::from_fn` and
//! `array::map` on vectors, which the standard library does not force inline.

use half::{bf16, f16};

use crate::{Isa, Portable};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod element;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(not(target_arch = "aarch64"))]
mod neon_absent;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(not(target_arch = "x86_64"))]
mod x86_absent;

pub use element::Element;

/// No token has more lanes than this.
pub const MAX_LANES: usize = 16;

/// Work that is compiled once per instruction set.
pub trait Kernel {
    /// What it gives back.
    type Output;

    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable(token) => token.run(kernel),
            Self::Neon(token) => token.run(kernel),
            Self::Avx2(token) => token.run(kernel),
            Self::Avx512(token) => token.run(kernel),
        }
    }

    /// Like [`Self::run`] without a version for the widest registers: for plain loops, which memory
    /// holds up, and of which there are many.
    #[inline]
    pub fn run_narrow<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable(token) => token.run(kernel),
            Self::Neon(token) => token.run(kernel),
            Self::Avx2(token) => token.run(kernel),
            Self::Avx512(token) => token.run_narrow(kernel),
        }
    }
}

impl Portable {
    /// Runs `kernel` compiled for what every CPU of the target has.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}

/// Vectors of [`Self::LANES`] 32-bit lanes and what can be done with them.
///
/// Loads and stores take slices and panic when those are shorter than a vector; a caller that
/// walks `chunks_exact(S::LANES)` pays nothing for the check.
pub trait Simd: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// A vector of f32.
    type F32: Copy;
    /// A vector of i32.
    type I32: Copy;
    /// One truth per lane.
    type Mask: Copy;

    /// How many lanes a vector has: a power of two, at most [`MAX_LANES`].
    const LANES: usize;

    /// Every lane is `value`.
    fn splat(self, value: f32) -> Self::F32;
    /// The first lanes of `src`.
    fn load(self, src: &[f32]) -> Self::F32;
    /// All of `src`, at most a vector, and `fill` in the other lanes.
    fn load_partial(self, src: &[f32], fill: f32) -> Self::F32;
    /// Writes the first lanes of `dst`.
    fn store(self, value: Self::F32, dst: &mut [f32]);
    /// Writes all of `dst`, at most a vector.
    fn store_partial(self, value: Self::F32, dst: &mut [f32]);

    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`.
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`, correctly rounded.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, with one rounding where the instruction set has that.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `c - a * b`, with one rounding where the instruction set has that.
    fn neg_mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The smaller; `b` where either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The greater; `b` where either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The square root, correctly rounded.
    fn sqrt(self, a: Self::F32) -> Self::F32;
    /// To the nearest integer, halves to even.
    fn round(self, a: Self::F32) -> Self::F32;
    /// To the next integer below.
    fn floor(self, a: Self::F32) -> Self::F32;
    /// To the next integer above.
    fn ceil(self, a: Self::F32) -> Self::F32;
    /// To the next integer towards zero.
    fn trunc(self, a: Self::F32) -> Self::F32;

    /// `a < b`, false for NaN.
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a <= b`, false for NaN.
    fn le(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a == b`, false for NaN.
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// Not `a < b`: true for NaN.
    fn not_lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// Both.
    fn and_mask(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Either.
    fn or_mask(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// The opposite.
    fn not_mask(self, a: Self::Mask) -> Self::Mask;
    /// Whether any lane is true.
    fn any(self, mask: Self::Mask) -> bool;
    /// `a` where true, `b` elsewhere.
    fn select(self, mask: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a` where true, `b` elsewhere.
    fn select_i32(self, mask: Self::Mask, a: Self::I32, b: Self::I32) -> Self::I32;

    /// Every lane is `value`.
    fn splat_i32(self, value: i32) -> Self::I32;
    /// The first lanes of `src`.
    fn load_i32(self, src: &[i32]) -> Self::I32;
    /// Writes the first lanes of `dst`.
    fn store_i32(self, value: Self::I32, dst: &mut [i32]);
    /// `a + b`, wrapping.
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a - b`, wrapping.
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The low half of `a * b`.
    fn mul_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The smaller.
    fn min_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The greater.
    fn max_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a & b`.
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a | b`.
    fn or_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a ^ b`.
    fn xor_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a << BITS`.
    fn shl<const BITS: u32>(self, a: Self::I32) -> Self::I32;
    /// `a >> BITS`, copies of the sign coming in.
    fn shr<const BITS: u32>(self, a: Self::I32) -> Self::I32;
    /// `a >> BITS`, zeros coming in.
    fn shr_logical<const BITS: u32>(self, a: Self::I32) -> Self::I32;
    /// `a == b`.
    fn eq_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;
    /// `a > b`.
    fn gt_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;

    /// The bits of `a`.
    fn bits(self, a: Self::F32) -> Self::I32;
    /// The floats with the bits `a`.
    fn of_bits(self, a: Self::I32) -> Self::F32;
    /// To the nearest i32, halves to even; unspecified where that does not fit.
    fn to_i32(self, a: Self::F32) -> Self::I32;
    /// Towards zero; unspecified where that does not fit.
    fn trunc_to_i32(self, a: Self::F32) -> Self::I32;
    /// The nearest f32.
    fn to_f32(self, a: Self::I32) -> Self::F32;

    /// The sum of the lanes, in a fixed order.
    fn reduce_add(self, a: Self::F32) -> f32;
    /// The greatest lane; unspecified when one is NaN.
    fn reduce_max(self, a: Self::F32) -> f32;
    /// The smallest lane; unspecified when one is NaN.
    fn reduce_min(self, a: Self::F32) -> f32;

    /// Writes four rows as columns: lane `c` of row `r` goes to `dst[c * stride + r]`.
    fn store_columns(self, rows: [Self::F32; 4], dst: &mut [f32], stride: usize);

    /// The first lanes of `src`, exactly.
    fn load_f16(self, src: &[f16]) -> Self::F32;
    /// Rounds to the nearest f16 and writes the first lanes of `dst`.
    fn store_f16(self, value: Self::F32, dst: &mut [f16]);
    /// The first lanes of `src`, exactly.
    fn load_bf16(self, src: &[bf16]) -> Self::F32;
    /// Rounds to the nearest bf16 and writes the first lanes of `dst`.
    fn store_bf16(self, value: Self::F32, dst: &mut [bf16]);
    /// The first lanes of `src`.
    fn load_i8(self, src: &[i8]) -> Self::I32;
    /// Writes the first lanes of `dst`, cut to the range of i8.
    fn store_i8(self, value: Self::I32, dst: &mut [i8]);
    /// The first lanes of `src`.
    fn load_u8(self, src: &[u8]) -> Self::I32;
    /// Writes the first lanes of `dst`, cut to the range of u8.
    fn store_u8(self, value: Self::I32, dst: &mut [u8]);

    /// Every lane is zero.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }

    /// `-a`, of NaN too.
    #[inline(always)]
    fn neg(self, a: Self::F32) -> Self::F32 {
        self.of_bits(self.xor_i32(self.bits(a), self.splat_i32(i32::MIN)))
    }

    /// `a` without its sign.
    #[inline(always)]
    fn abs(self, a: Self::F32) -> Self::F32 {
        self.of_bits(self.and_i32(self.bits(a), self.splat_i32(i32::MAX)))
    }

    /// `magnitude`, which is not negative, with the sign of `sign`.
    #[inline(always)]
    fn with_sign_of(self, magnitude: Self::F32, sign: Self::F32) -> Self::F32 {
        let bit = self.and_i32(self.bits(sign), self.splat_i32(i32::MIN));
        self.of_bits(self.or_i32(self.bits(magnitude), bit))
    }

    /// `a > b`, false for NaN.
    #[inline(always)]
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.lt(b, a)
    }

    /// `a >= b`, false for NaN.
    #[inline(always)]
    fn ge(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.le(b, a)
    }

    /// Where `a` is NaN.
    #[inline(always)]
    fn is_nan(self, a: Self::F32) -> Self::Mask {
        self.not_mask(self.eq(a, a))
    }

    /// The greater; NaN where either is NaN.
    #[inline(always)]
    fn max_or_nan(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        self.select(self.is_nan(a), a, self.max(a, b))
    }

    /// The smaller; NaN where either is NaN.
    #[inline(always)]
    fn min_or_nan(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        self.select(self.is_nan(a), a, self.min(a, b))
    }

    /// `a * 2^n` for integral `n` in `-252..=254`, rounded once more where the result is subnormal.
    #[inline(always)]
    fn mul_pow2(self, a: Self::F32, n: Self::F32) -> Self::F32 {
        let n = self.to_i32(n);
        let half = self.shr::<1>(n);
        let rest = self.sub_i32(n, half);
        self.mul(self.mul(a, self.pow2(half)), self.pow2(rest))
    }

    /// `2^n` for `n` in `-126..=127`.
    #[inline(always)]
    fn pow2(self, n: Self::I32) -> Self::F32 {
        self.of_bits(self.shl::<23>(self.add_i32(n, self.splat_i32(127))))
    }
}

/// The upper halves of f32, rounded to nearest with ties to even, in the low halves of the lanes.
#[inline(always)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn bf16_bits<S: Simd>(simd: S, value: S::F32) -> S::I32 {
    let bits = simd.bits(value);
    let odd = simd.and_i32(simd.shr_logical::<16>(bits), simd.splat_i32(1));
    let rounded = simd.add_i32(bits, simd.add_i32(odd, simd.splat_i32(0x7fff)));
    let quiet = simd.or_i32(bits, simd.splat_i32(0x40_0000));
    simd.shr_logical::<16>(simd.select_i32(simd.is_nan(value), quiet, rounded))
}
