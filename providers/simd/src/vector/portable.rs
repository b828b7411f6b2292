//! Vectors of four lanes in plain Rust: what runs where no better instruction set is known.

use half::{bf16, f16};

use super::Simd;
use crate::Portable;

const LANES: usize = 4;

type F = [f32; LANES];
type I = [i32; LANES];
type M = [bool; LANES];

/// Lane by lane, written out: the standard library's `map` and `from_fn` are not forced inline.
#[inline(always)]
fn map<A: Copy, T>(a: [A; LANES], f: impl Fn(A) -> T) -> [T; LANES] {
    [f(a[0]), f(a[1]), f(a[2]), f(a[3])]
}

#[inline(always)]
fn zip<A: Copy, B: Copy, T>(a: [A; LANES], b: [B; LANES], f: impl Fn(A, B) -> T) -> [T; LANES] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn from<T, U>(src: &[T], convert: impl Fn(&T) -> U) -> [U; LANES] {
    let src = &src[..LANES];
    [convert(&src[0]), convert(&src[1]), convert(&src[2]), convert(&src[3])]
}

#[inline(always)]
fn into<T: Copy, U>(value: [T; LANES], dst: &mut [U], convert: impl Fn(T) -> U) {
    let dst = &mut dst[..LANES];
    for lane in 0..LANES {
        dst[lane] = convert(value[lane]);
    }
}

#[inline(always)]
fn select<T: Copy>(mask: M, a: [T; LANES], b: [T; LANES]) -> [T; LANES] {
    let pick = |lane: usize| if mask[lane] { a[lane] } else { b[lane] };
    [pick(0), pick(1), pick(2), pick(3)]
}

/// Fused where that is one instruction: elsewhere it would be a call.
#[inline(always)]
fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

/// Adding and taking away 1.5 * 2^23 leaves the nearest integer, if `|a|` is below 2^22.
#[inline(always)]
fn round(a: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let rounded = ((a.abs() + SHIFT) - SHIFT).copysign(a);
    if a.abs() < 4_194_304.0 { rounded } else { a.round_ties_even() }
}

impl Simd for Portable {
    type F32 = F;
    type I32 = I;
    type Mask = M;

    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        [value; LANES]
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> F {
        from(src, |&x| x)
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32], fill: f32) -> F {
        let mut value = [fill; LANES];
        value[..src.len()].copy_from_slice(src);
        value
    }
    #[inline(always)]
    fn store(self, value: F, dst: &mut [f32]) {
        into(value, dst, |x| x);
    }
    #[inline(always)]
    fn store_partial(self, value: F, dst: &mut [f32]) {
        dst.copy_from_slice(&value[..dst.len()]);
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        zip(zip(a, b, |a, b| (a, b)), c, |(a, b), c| mul_add(a, b, c))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: F, b: F, c: F) -> F {
        zip(zip(a, b, |a, b| (a, b)), c, |(a, b), c| mul_add(-a, b, c))
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        map(a, f32::sqrt)
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        map(a, round)
    }
    #[inline(always)]
    fn floor(self, a: F) -> F {
        map(a, f32::floor)
    }
    #[inline(always)]
    fn ceil(self, a: F) -> F {
        map(a, f32::ceil)
    }
    #[inline(always)]
    fn trunc(self, a: F) -> F {
        map(a, f32::trunc)
    }

    #[inline(always)]
    fn lt(self, a: F, b: F) -> M {
        zip(a, b, |a, b| a < b)
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> M {
        zip(a, b, |a, b| a <= b)
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> M {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn not_lt(self, a: F, b: F) -> M {
        self.not_mask(self.lt(a, b))
    }
    #[inline(always)]
    fn and_mask(self, a: M, b: M) -> M {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or_mask(self, a: M, b: M) -> M {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn not_mask(self, a: M) -> M {
        map(a, |a| !a)
    }
    #[inline(always)]
    fn any(self, mask: M) -> bool {
        mask.into_iter().any(|truth| truth)
    }
    #[inline(always)]
    fn select(self, mask: M, a: F, b: F) -> F {
        select(mask, a, b)
    }
    #[inline(always)]
    fn select_i32(self, mask: M, a: I, b: I) -> I {
        select(mask, a, b)
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> I {
        [value; LANES]
    }
    #[inline(always)]
    fn load_i32(self, src: &[i32]) -> I {
        from(src, |&x| x)
    }
    #[inline(always)]
    fn store_i32(self, value: I, dst: &mut [i32]) {
        into(value, dst, |x| x);
    }
    #[inline(always)]
    fn add_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    fn sub_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::wrapping_sub)
    }
    #[inline(always)]
    fn mul_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::wrapping_mul)
    }
    #[inline(always)]
    fn min_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::min)
    }
    #[inline(always)]
    fn max_i32(self, a: I, b: I) -> I {
        zip(a, b, i32::max)
    }
    #[inline(always)]
    fn and_i32(self, a: I, b: I) -> I {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or_i32(self, a: I, b: I) -> I {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn xor_i32(self, a: I, b: I) -> I {
        zip(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn shl<const BITS: u32>(self, a: I) -> I {
        map(a, |a| a << BITS)
    }
    #[inline(always)]
    fn shr<const BITS: u32>(self, a: I) -> I {
        map(a, |a| a >> BITS)
    }
    #[inline(always)]
    fn shr_logical<const BITS: u32>(self, a: I) -> I {
        map(a, |a| (a.cast_unsigned() >> BITS).cast_signed())
    }
    #[inline(always)]
    fn eq_i32(self, a: I, b: I) -> M {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn gt_i32(self, a: I, b: I) -> M {
        zip(a, b, |a, b| a > b)
    }

    #[inline(always)]
    fn bits(self, a: F) -> I {
        map(a, |a| a.to_bits().cast_signed())
    }
    #[inline(always)]
    fn of_bits(self, a: I) -> F {
        map(a, |a| f32::from_bits(a.cast_unsigned()))
    }
    #[inline(always)]
    fn to_i32(self, a: F) -> I {
        map(a, |a| round(a) as i32)
    }
    #[inline(always)]
    fn trunc_to_i32(self, a: F) -> I {
        map(a, |a| a as i32)
    }
    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        map(a, |a| a as f32)
    }

    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    fn reduce_min(self, a: F) -> f32 {
        a.into_iter().fold(f32::INFINITY, f32::min)
    }

    #[inline(always)]
    fn store_columns(self, rows: [F; 4], dst: &mut [f32], stride: usize) {
        for lane in 0..LANES {
            dst[lane * stride..][..4].copy_from_slice(&map(rows, |row| row[lane]));
        }
    }

    #[inline(always)]
    fn load_f16(self, src: &[f16]) -> F {
        from(src, |x| x.to_f32_const())
    }
    #[inline(always)]
    fn store_f16(self, value: F, dst: &mut [f16]) {
        into(value, dst, f16::from_f32_const);
    }
    #[inline(always)]
    fn load_bf16(self, src: &[bf16]) -> F {
        from(src, |x| f32::from_bits(u32::from(x.to_bits()) << 16))
    }
    #[inline(always)]
    fn store_bf16(self, value: F, dst: &mut [bf16]) {
        into(value, dst, bf16::from_f32);
    }
    #[inline(always)]
    fn load_i8(self, src: &[i8]) -> I {
        from(src, |&x| i32::from(x))
    }
    #[inline(always)]
    fn store_i8(self, value: I, dst: &mut [i8]) {
        into(value, dst, |x| x.clamp(-128, 127) as i8);
    }
    #[inline(always)]
    fn load_u8(self, src: &[u8]) -> I {
        from(src, |&x| i32::from(x))
    }
    #[inline(always)]
    fn store_u8(self, value: I, dst: &mut [u8]) {
        into(value, dst, |x| x.clamp(0, 255).cast_unsigned() as u8);
    }
}
