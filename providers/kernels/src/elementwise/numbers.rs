//! Elementwise functions of any number type: plain loops that the compiler turns into vectors of the
//! instruction set at hand.

use remuda_simd::{Kernel, Simd};

use super::view::{Run, View, Walk};
use crate::Context;
use crate::context::Picoseconds;

/// Elements per block when operands must be gathered.
const BLOCK: usize = 1024;
const COST: Picoseconds = Picoseconds(400);

/// `f` of every pair of elements of `a` and `b`, broadcast to `shape`, into `out`.
///
/// ```
/// # use remuda_kernels::{Context, ThreadPool, elementwise::{View, numbers::zip}};
/// # let pool = ThreadPool::single();
/// # let cx = Context::new(remuda_simd::Isa::best(), &pool);
/// let (a, b) = ([1_i64, 2, 3, 4], [10, 20]);
/// let mut sums = [0; 4];
/// zip(cx, View::new(&a, &[2, 2]), View::new(&b, &[2]), &mut sums, &[2, 2], |a, b| a + b);
/// assert_eq!(sums, [11, 22, 13, 24]);
/// ```
///
/// # Panics
/// When an operand does not broadcast to `shape`, or `out` has another number of elements.
pub fn zip<T, U>(
    cx: Context<'_>,
    a: View<'_, T>,
    b: View<'_, T>,
    out: &mut [U],
    shape: &[usize],
    f: impl Fn(T, T) -> U + Copy + Sync,
) where
    T: Copy + Default + Sync,
    U: Copy + Send,
{
    assert_eq!(out.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    let walk = Walk::new(shape, &[a, b]);
    cx.pieces(out, 16, COST, |first, piece| {
        blocks(&walk, first * 16, piece, |at, out| {
            let (mut a, mut b) = ([T::default(); BLOCK], [T::default(); BLOCK]);
            let a = operand(&walk, 0, at, &mut a, out.len());
            let b = operand(&walk, 1, at, &mut b, out.len());
            cx.run_loop(Zip { a, b, out, f });
        });
    });
}

/// `f` of every element of `src`, into `dst`.
///
/// # Panics
/// When the lengths differ.
pub fn map<T, U>(cx: Context<'_>, src: &[T], dst: &mut [U], f: impl Fn(T) -> U + Copy + Sync)
where
    T: Copy + Sync,
    U: Copy + Send,
{
    assert_eq!(src.len(), dst.len(), "as many outputs as inputs");
    cx.pieces(dst, 16, COST, |first, dst| {
        let src = &src[first * 16..][..dst.len()];
        cx.run_loop(Map { src, dst, f });
    });
}

/// `a` where `condition` is not zero, else `b`, all broadcast to `shape`. Only bits are moved, so
/// any type of the same size does.
///
/// # Panics
/// When an operand does not broadcast to `shape`, or `out` has another number of elements.
pub fn select<T: Copy + Default + Send + Sync>(
    cx: Context<'_>,
    condition: View<'_, u8>,
    (a, b): (View<'_, T>, View<'_, T>),
    out: &mut [T],
    shape: &[usize],
) {
    assert_eq!(out.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    let conditions = Walk::new(shape, &[condition]);
    let walk = Walk::new(shape, &[a, b]);
    cx.pieces(out, 16, COST, |first, piece| {
        blocks(&walk, first * 16, piece, |at, out| {
            let mut truth = [0; BLOCK];
            let (mut a, mut b) = ([T::default(); BLOCK], [T::default(); BLOCK]);
            let a = operand(&walk, 0, at, &mut a, out.len());
            let b = operand(&walk, 1, at, &mut b, out.len());
            let truth = operand(&conditions, 0, at, &mut truth, out.len());
            cx.run_loop(Select { truth, a, b, out });
        });
    });
}

/// Walks a piece of the output in blocks.
fn blocks<T: Copy, U>(
    walk: &Walk<'_, T>,
    start: usize,
    out: &mut [U],
    mut body: impl FnMut(usize, &mut [U]),
) {
    let end = start + out.len();
    let mut at = start;
    while at < end {
        let length = walk.block(at, end, BLOCK);
        body(at, &mut out[at - start..at - start + length]);
        at += length;
    }
}

/// The elements of an operand for a block, in `buffer` where they do not lie side by side.
fn operand<'b, T: Copy>(
    walk: &'b Walk<'_, T>,
    index: usize,
    start: usize,
    buffer: &'b mut [T],
    length: usize,
) -> &'b [T] {
    match walk.run(index, start, length) {
        Some(Run::Slice(values)) => return values,
        Some(Run::Same(value)) => buffer[..length].fill(value),
        None => walk.gather(index, start, &mut buffer[..length], |value| value),
    }
    &buffer[..length]
}

struct Zip<'a, T, U, F> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [U],
    f: F,
}

impl<T: Copy, U: Copy, F: Fn(T, T) -> U> Kernel for Zip<'_, T, U, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let pairs = self.a.iter().zip(self.b);
        self.out.iter_mut().zip(pairs).for_each(|(to, (&a, &b))| *to = (self.f)(a, b));
    }
}

struct Map<'a, T, U, F> {
    src: &'a [T],
    dst: &'a mut [U],
    f: F,
}

impl<T: Copy, U, F: Fn(T) -> U> Kernel for Map<'_, T, U, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.dst.iter_mut().zip(self.src).for_each(|(to, &from)| *to = (self.f)(from));
    }
}

struct Select<'a, T> {
    truth: &'a [u8],
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
}

impl<T: Copy> Kernel for Select<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let pairs = self.a.iter().zip(self.b);
        let places = self.out.iter_mut().zip(self.truth);
        places.zip(pairs).for_each(|((to, &truth), (&a, &b))| *to = if truth != 0 { a } else { b });
    }
}
