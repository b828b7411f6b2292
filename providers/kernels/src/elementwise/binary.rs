//! Functions of two f32 operands.

use remuda_simd::{Kernel, Simd};

use super::unary::{Unary, map_op};
use super::view::Run;
use crate::context::Picoseconds;

/// A function that is applied to every pair of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`.
    Div,
    /// The smaller; NaN where either is NaN.
    Min,
    /// The greater; NaN where either is NaN.
    Max,
    /// `a` to the power `b`.
    Pow,
    /// `a b` where `a` is negative, else `a`.
    PRelu,
}

impl Binary {
    /// Roughly what an element costs.
    pub(super) fn cost(self) -> Picoseconds {
        Picoseconds(if self == Self::Pow { 10_000 } else { 200 })
    }
}

/// Applies a function to two operands, into `dst`.
pub(crate) struct Zip<'a> {
    pub(crate) op: Binary,
    pub(crate) a: Run<'a, f32>,
    pub(crate) b: Run<'a, f32>,
    pub(crate) dst: &'a mut [f32],
}

impl Kernel for Zip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        zip_op(s, self);
    }
}

/// Vector by vector, the tail padded.
#[inline(always)]
fn zip<S: Simd>(s: S, work: Zip<'_>, f: impl Fn(S::F32, S::F32) -> S::F32) {
    let dst = work.dst;
    match (work.a, work.b) {
        (Run::Slice(a), Run::Slice(b)) => zip_slices(s, a, b, dst, f),
        (Run::Slice(a), Run::Same(b)) => {
            let b = s.splat(b);
            map_slice(
                s,
                a,
                dst,
                #[inline(always)]
                |a| f(a, b),
            );
        }
        (Run::Same(a), Run::Slice(b)) => {
            let a = s.splat(a);
            map_slice(
                s,
                b,
                dst,
                #[inline(always)]
                |b| f(a, b),
            );
        }
        (Run::Same(a), Run::Same(b)) => {
            let mut one = [0.0];
            s.store_partial(f(s.splat(a), s.splat(b)), &mut one);
            dst.fill(one[0]);
        }
    }
}

#[inline(always)]
fn zip_slices<S: Simd>(
    s: S,
    a: &[f32],
    b: &[f32],
    dst: &mut [f32],
    f: impl Fn(S::F32, S::F32) -> S::F32,
) {
    let whole = dst.len() - dst.len() % S::LANES;
    let (a, a_tail) = a.split_at(whole);
    let (b, b_tail) = b.split_at(whole);
    let (dst, dst_tail) = dst.split_at_mut(whole);
    let pairs = a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES));
    for ((a, b), to) in pairs.zip(dst.chunks_exact_mut(S::LANES)) {
        s.store(f(s.load(a), s.load(b)), to);
    }
    if !dst_tail.is_empty() {
        let (a, b) = (s.load_partial(a_tail, 1.0), s.load_partial(b_tail, 1.0));
        s.store_partial(f(a, b), dst_tail);
    }
}

#[inline(always)]
fn map_slice<S: Simd>(s: S, src: &[f32], dst: &mut [f32], f: impl Fn(S::F32) -> S::F32) {
    let whole = dst.len() - dst.len() % S::LANES;
    let (src, src_tail) = src.split_at(whole);
    let (dst, dst_tail) = dst.split_at_mut(whole);
    for (from, to) in src.chunks_exact(S::LANES).zip(dst.chunks_exact_mut(S::LANES)) {
        s.store(f(s.load(from)), to);
    }
    if !dst_tail.is_empty() {
        s.store_partial(f(s.load_partial(src_tail, 1.0)), dst_tail);
    }
}

#[inline(always)]
fn zip_op<S: Simd>(s: S, work: Zip<'_>) {
    match work.op {
        Binary::Add => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.add(a, b),
        ),
        Binary::Sub => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.sub(a, b),
        ),
        Binary::Mul => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.mul(a, b),
        ),
        Binary::Div => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.div(a, b),
        ),
        Binary::Min => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.min_or_nan(a, b),
        ),
        Binary::Max => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.max_or_nan(a, b),
        ),
        Binary::Pow => pow(s, work),
        Binary::PRelu => zip(
            s,
            work,
            #[inline(always)]
            |a, b| s.select(s.lt(a, s.zero()), s.mul(a, b), a),
        ),
    }
}

/// Small constant exponents are products; anything else is exact but slow.
#[inline(always)]
fn pow<S: Simd>(s: S, work: Zip<'_>) {
    match (work.a, work.b) {
        (Run::Slice(a), Run::Same(1.0)) => map_op(s, Unary::Identity, a, work.dst),
        (Run::Slice(a), Run::Same(2.0)) => map_op(s, Unary::Square, a, work.dst),
        (Run::Slice(a), Run::Same(-1.0)) => map_op(s, Unary::Reciprocal, a, work.dst),
        (Run::Slice(a), Run::Same(3.0)) => {
            map_slice(
                s,
                a,
                work.dst,
                #[inline(always)]
                |a| s.mul(s.mul(a, a), a),
            );
        }
        (a, b) => {
            for (index, to) in work.dst.iter_mut().enumerate() {
                *to = a.at(index).powf(b.at(index));
            }
        }
    }
}

impl Run<'_, f32> {
    fn at(&self, index: usize) -> f32 {
        match *self {
            Self::Slice(values) => values[index],
            Self::Same(value) => value,
        }
    }
}
