//! 128-bit vectors of 64-bit Arm.

use std::arch::aarch64::*;
use std::arch::asm;

use half::{bf16, f16};

use super::{Kernel, Simd, bf16_bits};
use crate::Neon;

const LANES: usize = 4;

type F = float32x4_t;
type I = int32x4_t;
type M = uint32x4_t;

/// Calls intrinsics that touch no memory.
macro_rules! proven {
    ($token:ident, $call:expr) => {{
        let _: Neon = $token;
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { $call }
    }};
}

impl Neon {
    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn compiled<K: Kernel>(token: Neon, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the CPU has the feature.
        unsafe { compiled(self, kernel) }
    }
}

impl Simd for Neon {
    type F32 = F;
    type I32 = I;
    type Mask = M;

    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        proven!(self, vdupq_n_f32(value))
    }
    #[inline(always)]
    fn load(self, src: &[f32]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instruction and `src` holds a whole vector.
        unsafe { vld1q_f32(src.as_ptr()) }
    }
    #[inline(always)]
    fn load_partial(self, src: &[f32], fill: f32) -> F {
        let mut lanes = [fill; LANES];
        let count = src.len().min(LANES);
        lanes[..count].copy_from_slice(&src[..count]);
        self.load(&lanes)
    }
    #[inline(always)]
    fn store(self, value: F, dst: &mut [f32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instruction and `dst` holds a whole vector.
        unsafe { vst1q_f32(dst.as_mut_ptr(), value) }
    }
    #[inline(always)]
    fn store_partial(self, value: F, dst: &mut [f32]) {
        let mut lanes = [0.0; LANES];
        self.store(value, &mut lanes);
        let count = dst.len().min(LANES);
        dst[..count].copy_from_slice(&lanes[..count]);
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        proven!(self, vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        proven!(self, vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        proven!(self, vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        proven!(self, vdivq_f32(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        proven!(self, vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: F, b: F, c: F) -> F {
        proven!(self, vfmsq_f32(c, a, b))
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        // The instruction of that name gives NaN where either is one.
        proven!(self, vbslq_f32(vcltq_f32(a, b), a, b))
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        proven!(self, vbslq_f32(vcgtq_f32(a, b), a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        proven!(self, vsqrtq_f32(a))
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        proven!(self, vrndnq_f32(a))
    }
    #[inline(always)]
    fn floor(self, a: F) -> F {
        proven!(self, vrndmq_f32(a))
    }
    #[inline(always)]
    fn ceil(self, a: F) -> F {
        proven!(self, vrndpq_f32(a))
    }
    #[inline(always)]
    fn trunc(self, a: F) -> F {
        proven!(self, vrndq_f32(a))
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> M {
        proven!(self, vcltq_f32(a, b))
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> M {
        proven!(self, vcleq_f32(a, b))
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> M {
        proven!(self, vceqq_f32(a, b))
    }
    #[inline(always)]
    fn not_lt(self, a: F, b: F) -> M {
        self.not_mask(self.lt(a, b))
    }
    #[inline(always)]
    fn and_mask(self, a: M, b: M) -> M {
        proven!(self, vandq_u32(a, b))
    }
    #[inline(always)]
    fn or_mask(self, a: M, b: M) -> M {
        proven!(self, vorrq_u32(a, b))
    }
    #[inline(always)]
    fn not_mask(self, a: M) -> M {
        proven!(self, vmvnq_u32(a))
    }
    #[inline(always)]
    fn any(self, mask: M) -> bool {
        proven!(self, vmaxvq_u32(mask) != 0)
    }
    #[inline(always)]
    fn select(self, mask: M, a: F, b: F) -> F {
        proven!(self, vbslq_f32(mask, a, b))
    }
    #[inline(always)]
    fn select_i32(self, mask: M, a: I, b: I) -> I {
        proven!(self, vbslq_s32(mask, a, b))
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> I {
        proven!(self, vdupq_n_s32(value))
    }
    #[inline(always)]
    fn load_i32(self, src: &[i32]) -> I {
        let src = &src[..LANES];
        // SAFETY: the token proves the instruction and `src` holds a whole vector.
        unsafe { vld1q_s32(src.as_ptr()) }
    }
    #[inline(always)]
    fn store_i32(self, value: I, dst: &mut [i32]) {
        let dst = &mut dst[..LANES];
        // SAFETY: the token proves the instruction and `dst` holds a whole vector.
        unsafe { vst1q_s32(dst.as_mut_ptr(), value) }
    }
    #[inline(always)]
    fn add_i32(self, a: I, b: I) -> I {
        proven!(self, vaddq_s32(a, b))
    }
    #[inline(always)]
    fn sub_i32(self, a: I, b: I) -> I {
        proven!(self, vsubq_s32(a, b))
    }
    #[inline(always)]
    fn mul_i32(self, a: I, b: I) -> I {
        proven!(self, vmulq_s32(a, b))
    }
    #[inline(always)]
    fn min_i32(self, a: I, b: I) -> I {
        proven!(self, vminq_s32(a, b))
    }
    #[inline(always)]
    fn max_i32(self, a: I, b: I) -> I {
        proven!(self, vmaxq_s32(a, b))
    }
    #[inline(always)]
    fn and_i32(self, a: I, b: I) -> I {
        proven!(self, vandq_s32(a, b))
    }
    #[inline(always)]
    fn or_i32(self, a: I, b: I) -> I {
        proven!(self, vorrq_s32(a, b))
    }
    #[inline(always)]
    fn xor_i32(self, a: I, b: I) -> I {
        proven!(self, veorq_s32(a, b))
    }
    #[inline(always)]
    fn shl<const BITS: u32>(self, a: I) -> I {
        proven!(self, vshlq_s32(a, vdupq_n_s32(BITS.cast_signed())))
    }
    #[inline(always)]
    fn shr<const BITS: u32>(self, a: I) -> I {
        // A shift to the left by less than nothing.
        proven!(self, vshlq_s32(a, vdupq_n_s32(-BITS.cast_signed())))
    }
    #[inline(always)]
    fn shr_logical<const BITS: u32>(self, a: I) -> I {
        proven!(self, {
            let shifted = vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-BITS.cast_signed()));
            vreinterpretq_s32_u32(shifted)
        })
    }
    #[inline(always)]
    fn eq_i32(self, a: I, b: I) -> M {
        proven!(self, vceqq_s32(a, b))
    }
    #[inline(always)]
    fn gt_i32(self, a: I, b: I) -> M {
        proven!(self, vcgtq_s32(a, b))
    }
    #[inline(always)]
    fn bits(self, a: F) -> I {
        proven!(self, vreinterpretq_s32_f32(a))
    }
    #[inline(always)]
    fn of_bits(self, a: I) -> F {
        proven!(self, vreinterpretq_f32_s32(a))
    }
    #[inline(always)]
    fn to_i32(self, a: F) -> I {
        proven!(self, vcvtnq_s32_f32(a))
    }
    #[inline(always)]
    fn trunc_to_i32(self, a: F) -> I {
        proven!(self, vcvtq_s32_f32(a))
    }
    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        proven!(self, vcvtq_f32_s32(a))
    }
    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        proven!(self, vaddvq_f32(a))
    }
    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        proven!(self, vmaxvq_f32(a))
    }
    #[inline(always)]
    fn reduce_min(self, a: F) -> f32 {
        proven!(self, vminvq_f32(a))
    }
    #[inline(always)]
    fn store_columns(self, rows: [F; 4], dst: &mut [f32], stride: usize) {
        let [a, b, c, d] = rows;
        let columns = proven!(self, {
            let (ab, cd) = (vtrnq_f32(a, b), vtrnq_f32(c, d));
            let low = |x: F, y: F| vcombine_f32(vget_low_f32(x), vget_low_f32(y));
            let high = |x: F, y: F| vcombine_f32(vget_high_f32(x), vget_high_f32(y));
            [low(ab.0, cd.0), low(ab.1, cd.1), high(ab.0, cd.0), high(ab.1, cd.1)]
        });
        for (at, column) in columns.into_iter().enumerate() {
            self.store(column, &mut dst[at * stride..][..LANES]);
        }
    }

    #[inline(always)]
    fn load_f16(self, src: &[f16]) -> F {
        let src = &src[..LANES];
        let wide: F;
        // SAFETY: the slice holds four halves, and the token proves the instructions, which touch
        // nothing else.
        unsafe {
            let halves = vld1_u16(src.as_ptr().cast());
            asm!("fcvtl {wide:v}.4s, {halves:v}.4h", wide = lateout(vreg) wide,
                halves = in(vreg) halves, options(pure, nomem, nostack, preserves_flags));
        }
        wide
    }
    #[inline(always)]
    fn store_f16(self, value: F, dst: &mut [f16]) {
        let dst = &mut dst[..LANES];
        // SAFETY: as for loading.
        unsafe {
            let halves: uint16x4_t;
            asm!("fcvtn {halves:v}.4h, {value:v}.4s", halves = lateout(vreg) halves,
                value = in(vreg) value, options(pure, nomem, nostack, preserves_flags));
            vst1_u16(dst.as_mut_ptr().cast(), halves);
        }
    }
    #[inline(always)]
    fn load_bf16(self, src: &[bf16]) -> F {
        let src = &src[..LANES];
        // SAFETY: the token proves the instructions and the slice holds four halves.
        let wide = unsafe { vreinterpretq_s32_u32(vmovl_u16(vld1_u16(src.as_ptr().cast()))) };
        self.of_bits(self.shl::<16>(wide))
    }
    #[inline(always)]
    fn store_bf16(self, value: F, dst: &mut [bf16]) {
        let dst = &mut dst[..LANES];
        let rounded = bf16_bits(self, value);
        // SAFETY: the token proves the instructions and the slice holds four halves.
        unsafe {
            let halves = vmovn_u32(vreinterpretq_u32_s32(rounded));
            vst1_u16(dst.as_mut_ptr().cast(), halves);
        }
    }
    #[inline(always)]
    fn load_i8(self, src: &[i8]) -> I {
        let src = &src[..LANES];
        self.load_i32(&[i32::from(src[0]), i32::from(src[1]), i32::from(src[2]), i32::from(src[3])])
    }
    #[inline(always)]
    fn store_i8(self, value: I, dst: &mut [i8]) {
        let cut = proven!(self, {
            let words = vqmovn_s32(value);
            vqmovn_s16(vcombine_s16(words, words))
        });
        let mut bytes = [0; 8];
        // SAFETY: the token proves the instruction and the array holds the whole vector.
        unsafe { vst1_s8(bytes.as_mut_ptr(), cut) }
        dst[..LANES].copy_from_slice(&bytes[..LANES]);
    }
    #[inline(always)]
    fn load_u8(self, src: &[u8]) -> I {
        let src = &src[..LANES];
        self.load_i32(&[i32::from(src[0]), i32::from(src[1]), i32::from(src[2]), i32::from(src[3])])
    }
    #[inline(always)]
    fn store_u8(self, value: I, dst: &mut [u8]) {
        let cut = proven!(self, {
            let words = vqmovn_s32(value);
            vqmovun_s16(vcombine_s16(words, words))
        });
        let mut bytes = [0; 8];
        // SAFETY: the token proves the instruction and the array holds the whole vector.
        unsafe { vst1_u8(bytes.as_mut_ptr(), cut) }
        dst[..LANES].copy_from_slice(&bytes[..LANES]);
    }
}
