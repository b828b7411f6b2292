//! A chain of elementwise steps, evaluated block by block so that what lies between two steps never
//! leaves the first-level cache.

use remuda_simd::Element;

use super::binary::{Binary, Zip};
use super::unary::{Map, Unary};
use super::view::{Run, View, Walk};
use crate::Context;
use crate::context::Picoseconds;
use crate::convert::{Narrow, Widen};

/// Elements per block: four such buffers fit the first-level cache.
const BLOCK: usize = 1024;

/// One step of a chain, applied to the value so far.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a, T> {
    /// A function of the value.
    Unary(Unary),
    /// A function of the value and another operand.
    Right(Binary, View<'a, T>),
    /// A function of another operand and the value.
    Left(Binary, View<'a, T>),
}

impl<'a, T> Step<'a, T> {
    fn view(&self) -> Option<View<'a, T>>
    where
        T: Copy,
    {
        match *self {
            Self::Unary(_) => None,
            Self::Right(_, view) | Self::Left(_, view) => Some(view),
        }
    }

    fn cost(&self) -> usize {
        match *self {
            Self::Unary(op) => op.cost().0,
            Self::Right(op, _) | Self::Left(op, _) => op.cost().0,
        }
    }
}

/// `steps` applied to `input` in order, into `out` of `shape`, to which every operand broadcasts.
///
/// # Panics
/// When an operand does not broadcast to `shape`, or `out` has another number of elements.
pub fn chain<T: Element>(
    cx: Context<'_>,
    input: View<'_, T>,
    steps: &[Step<'_, T>],
    out: &mut [T],
    shape: &[usize],
) {
    let steps = if steps.is_empty() { &[Step::Unary(Unary::Identity)] } else { steps };
    run_chain(cx, Some(input), steps, out, shape);
}

/// `steps` applied in order to the values that `out` of `shape` holds, in their place.
///
/// # Panics
/// As for [`chain`].
pub fn chain_in_place<T: Element>(
    cx: Context<'_>,
    steps: &[Step<'_, T>],
    out: &mut [T],
    shape: &[usize],
) {
    if !steps.is_empty() {
        run_chain(cx, None, steps, out, shape);
    }
}

fn run_chain<T: Element>(
    cx: Context<'_>,
    input: Option<View<'_, T>>,
    steps: &[Step<'_, T>],
    out: &mut [T],
    shape: &[usize],
) {
    assert_eq!(out.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    let views: Vec<_> = input.into_iter().chain(steps.iter().filter_map(Step::view)).collect();
    let walk = Walk::new(shape, &views);
    let cost = Picoseconds(steps.iter().map(Step::cost).sum::<usize>().max(100));
    let in_place = input.is_none();
    cx.pieces(out, 16, cost, |first, piece| {
        Chain { cx, walk: &walk, steps, in_place }.piece(first * 16, piece);
    });
}

/// `op` of every element of `src`, into `dst`.
///
/// # Panics
/// When the lengths differ.
pub fn unary<T: Element>(cx: Context<'_>, op: Unary, src: &[T], dst: &mut [T]) {
    let shape = [src.len()];
    chain(cx, View::new(src, &shape), &[Step::Unary(op)], dst, &shape);
}

/// `op` of every pair of elements of `a` and `b`, broadcast to `shape`, into `out`.
///
/// # Panics
/// When an operand does not broadcast to `shape`, or `out` has another number of elements.
pub fn binary<T: Element>(
    cx: Context<'_>,
    op: Binary,
    a: View<'_, T>,
    b: View<'_, T>,
    out: &mut [T],
    shape: &[usize],
) {
    chain(cx, a, &[Step::Right(op, b)], out, shape);
}

struct Chain<'a, T> {
    cx: Context<'a>,
    walk: &'a Walk<'a, T>,
    steps: &'a [Step<'a, T>],
    /// Whether the input is what the output holds; otherwise it is the first operand.
    in_place: bool,
}

/// Where values lie: two for those between steps, one for the input and one for other operands,
/// where these must be gathered or converted.
type Buffers<'a> = [&'a mut [f32]; 4];

impl<T: Element> Chain<'_, T> {
    /// Computes the elements of the output from `start` on.
    fn piece(&self, start: usize, out: &mut [T]) {
        let one_pass = T::as_f32(&[]).is_some() && self.steps.len() == 1;
        let bufferless = one_pass && !self.in_place && self.walk.never_gathers();
        if bufferless {
            return self.blocks(start, out, usize::MAX, &mut [&mut [], &mut [], &mut [], &mut []]);
        }
        let mut memory = [[0.0; BLOCK]; 4];
        self.blocks(start, out, BLOCK, &mut memory.each_mut().map(|buffer| &mut buffer[..]));
    }

    fn blocks(&self, start: usize, out: &mut [T], limit: usize, buffers: &mut Buffers<'_>) {
        let end = start + out.len();
        let mut at = start;
        while at < end {
            let length = self.walk.block(at, end, limit);
            self.block(at, &mut out[at - start..at - start + length], buffers);
            at += length;
        }
    }

    /// Computes one block; the value so far is the input, then in one of the buffers in turn.
    fn block(&self, start: usize, out: &mut [T], buffers: &mut Buffers<'_>) {
        let length = out.len();
        let [held, free, own, other] = buffers;
        let (mut held, mut free) = (&mut **held, &mut **free);
        let mut input = Some(match self.in_place {
            true => self.taken(out, own),
            false => self.operand(0, start, own, length),
        });
        let mut operand = usize::from(!self.in_place);
        for (index, step) in self.steps.iter().enumerate() {
            let value = input.take().unwrap_or_else(|| Run::Slice(&held[..length]));
            let last = index + 1 == self.steps.len();
            let target = match T::as_f32_mut(out) {
                Some(out) if last => out,
                _ => &mut free[..length],
            };
            match *step {
                Step::Unary(op) => map_run(self.cx, op, value, target),
                Step::Right(op, _) | Step::Left(op, _) => {
                    let with = self.operand(operand, start, other, length);
                    operand += 1;
                    let swapped = matches!(step, Step::Left(..));
                    let (a, b) = if swapped { (with, value) } else { (value, with) };
                    self.cx.run(Zip { op, a, b, dst: target });
                }
            }
            std::mem::swap(&mut held, &mut free);
        }
        if T::as_f32(&[]).is_none() {
            self.cx.run(Narrow { src: &held[..length], dst: out });
        }
    }

    /// The values that a block of the output holds, in `buffer`.
    fn taken<'b>(&self, out: &[T], buffer: &'b mut [f32]) -> Run<'b, f32> {
        let buffer = &mut buffer[..out.len()];
        match T::as_f32(out) {
            Some(values) => buffer.copy_from_slice(values),
            None => self.cx.run(Widen { src: out, dst: buffer }),
        }
        Run::Slice(buffer)
    }

    /// An operand's elements in f32, in `buffer` unless they lie together in memory as such.
    fn operand<'b>(
        &'b self,
        index: usize,
        start: usize,
        buffer: &'b mut [f32],
        length: usize,
    ) -> Run<'b, f32> {
        match self.walk.run(index, start, length) {
            Some(Run::Same(value)) => return Run::Same(value.to_f32()),
            Some(Run::Slice(values)) => match T::as_f32(values) {
                Some(values) => return Run::Slice(values),
                None => self.cx.run(Widen { src: values, dst: &mut buffer[..length] }),
            },
            None => self.walk.gather(index, start, &mut buffer[..length], T::to_f32),
        }
        Run::Slice(&buffer[..length])
    }
}

fn map_run(cx: Context<'_>, op: Unary, value: Run<'_, f32>, dst: &mut [f32]) {
    match value {
        Run::Slice(src) => cx.run(Map { op, src, dst }),
        Run::Same(value) => {
            let mut one = [0.0];
            cx.run(Map { op, src: &[value], dst: &mut one });
            dst.fill(one[0]);
        }
    }
}
