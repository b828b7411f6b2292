//! Permutation of axes.
//!
//! Axes that stay side by side are merged first. If the innermost axis stays innermost, whole rows
//! are copied; otherwise the source's and the output's innermost axes span planes that are copied in
//! square tiles, so that every cache line that is read or written is used while it is near.

use half::{bf16, f16};
use remuda_simd::{Kernel, Simd};

use super::COPY;
use crate::Context;

/// An element that can be moved. Four-byte elements are fastest as f32, whose bits stay as they are.
pub trait Movable: Copy + Send + Sync {
    /// The slice itself, if this is f32.
    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }

    /// The slice itself, if this is f32.
    fn as_f32_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

impl Movable for f32 {
    fn as_f32(slice: &[Self]) -> Option<&[f32]> {
        Some(slice)
    }
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]> {
        Some(slice)
    }
}

impl Movable for bool {}
impl Movable for u8 {}
impl Movable for u16 {}
impl Movable for u32 {}
impl Movable for u64 {}
impl Movable for i8 {}
impl Movable for i16 {}
impl Movable for i32 {}
impl Movable for i64 {}
impl Movable for f16 {}
impl Movable for bf16 {}
impl Movable for f64 {}

/// The side of a tile.
const TILE: usize = 16;

/// Writes `src` of `shape` to `out` so that axis `k` of the output is axis `permutation[k]`.
///
/// # Panics
/// When `permutation` is not one of the axes of `shape`, or a slice does not fit.
pub fn transpose<T: Movable>(
    cx: Context<'_>,
    src: &[T],
    out: &mut [T],
    shape: &[usize],
    permutation: &[usize],
) {
    assert_eq!(src.len(), shape.iter().product::<usize>(), "elements of shape {shape:?}");
    assert_eq!(src.len(), out.len(), "as many outputs as inputs");
    assert_eq!(shape.len(), permutation.len(), "a permutation of all axes");
    if src.is_empty() {
        return;
    }
    let axes = merged(shape, permutation);
    let Some((last, outer)) = axes.split_last() else {
        return out.copy_from_slice(src);
    };
    match axes.iter().position(|axis| axis.stride == 1) {
        Some(inner) if inner + 1 < axes.len() => planes(cx, src, out, &axes, inner),
        _ => cx.pieces(out, last.size, COPY, |first, out| {
            let mut walk = Offsets::new(outer, first);
            for row in out.chunks_exact_mut(last.size) {
                row.copy_from_slice(&src[walk.offset..][..last.size]);
                walk.advance();
            }
        }),
    }
}

/// An axis of the output and how far apart its neighbours lie in the source.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize,
    stride: usize,
}

fn merged(shape: &[usize], permutation: &[usize]) -> Vec<Axis> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let mut axes: Vec<Axis> = Vec::with_capacity(shape.len());
    for &from in permutation {
        let (size, stride) = (shape[from], strides[from]);
        match axes.last_mut() {
            _ if size == 1 => {}
            Some(last) if last.stride == size * stride => {
                *last = Axis { size: last.size * size, stride };
            }
            _ => axes.push(Axis { size, stride }),
        }
    }
    axes
}

/// Walks combinations of axes in order and knows where each begins in the source.
struct Offsets<'a> {
    axes: &'a [Axis],
    indices: Vec<usize>,
    offset: usize,
}

impl<'a> Offsets<'a> {
    fn new(axes: &'a [Axis], mut first: usize) -> Self {
        let mut indices = vec![0; axes.len()];
        let mut offset = 0;
        for (axis, index) in axes.iter().zip(&mut indices).rev() {
            *index = first % axis.size;
            first /= axis.size;
            offset += *index * axis.stride;
        }
        Self { axes, indices, offset }
    }

    fn advance(&mut self) {
        for (axis, index) in self.axes.iter().zip(&mut self.indices).rev() {
            *index += 1;
            self.offset += axis.stride;
            if *index < axis.size {
                return;
            }
            self.offset -= axis.size * axis.stride;
            *index = 0;
        }
    }
}

/// The plane of axis `inner`, which is contiguous in the source, and the last axis.
fn planes<T: Movable>(cx: Context<'_>, src: &[T], out: &mut [T], axes: &[Axis], inner: usize) {
    let (outer, rest) = axes.split_at(inner);
    let length = rest[0].size;
    let (middle, last) = (&rest[1..rest.len() - 1], rest[rest.len() - 1]);
    let middles: usize = middle.iter().map(|axis| axis.size).product();
    let unit = middles * last.size;
    cx.pieces(out, unit, COPY, |first, out| {
        let mut at = first;
        let mut left = out;
        while !left.is_empty() {
            let start = at % length;
            let count = (length - start).min(left.len() / unit);
            let (part, rest) = left.split_at_mut(count * unit);
            let base = Offsets::new(outer, at / length).offset + start;
            let mut walk = Offsets::new(middle, 0);
            for column in 0..middles {
                let plane = &src[base + walk.offset..];
                let part = &mut part[column * last.size..];
                match (T::as_f32(plane), T::as_f32_mut(part)) {
                    (Some(src), Some(out)) => cx.run(Squares {
                        src,
                        stride: last.stride,
                        out,
                        row_stride: unit,
                        size: (count, last.size),
                    }),
                    _ => tiles(plane, last.stride, part, unit, (count, last.size)),
                }
                walk.advance();
            }
            at += count;
            left = rest;
        }
    });
}

/// `out[row * row_stride + column] = src[row + column * stride]`.
fn tiles<T: Copy>(
    src: &[T],
    stride: usize,
    out: &mut [T],
    row_stride: usize,
    (rows, columns): (usize, usize),
) {
    for row in (0..rows).step_by(TILE) {
        let height = TILE.min(rows - row);
        for column in (0..columns).step_by(TILE) {
            let width = TILE.min(columns - column);
            let src = &src[row + column * stride..];
            for line in 0..height {
                let to = &mut out[(row + line) * row_stride + column..][..width];
                for (to, from) in to.iter_mut().zip(src[line..].iter().step_by(stride)) {
                    *to = *from;
                }
            }
        }
    }
}

/// [`tiles`] of f32, transposed in registers.
struct Squares<'a> {
    src: &'a [f32],
    stride: usize,
    out: &'a mut [f32],
    row_stride: usize,
    size: (usize, usize),
}

impl Kernel for Squares<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { src, stride, out, row_stride, size: (rows, columns) } = self;
        let whole = (rows - rows % S::LANES, columns - columns % 4);
        for row in (0..whole.0).step_by(S::LANES) {
            for column in (0..whole.1).step_by(4) {
                let mut lines = [s.zero(); 4];
                for (index, line) in lines.iter_mut().enumerate() {
                    *line = s.load(&src[row + (column + index) * stride..]);
                }
                s.store_columns(lines, &mut out[row * row_stride + column..], row_stride);
            }
        }
        if whole.1 < columns && whole.0 > 0 {
            let (src, out) = (&src[whole.1 * stride..], &mut out[whole.1..]);
            tiles(src, stride, out, row_stride, (whole.0, columns - whole.1));
        }
        if whole.0 < rows {
            let (src, out) = (&src[whole.0..], &mut out[whole.0 * row_stride..]);
            tiles(src, stride, out, row_stride, (rows - whole.0, columns));
        }
    }
}
