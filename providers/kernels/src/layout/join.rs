//! Arrays put together along an axis, and taken apart.

use super::COPY;
use crate::Context;

/// Joins arrays along an axis. Each input is a slice and the number of its elements per outer index,
/// which is its size on the axis times the product of the axes inside.
///
/// # Panics
/// When the inputs do not fill `out`.
pub fn concat<T: Copy + Send + Sync>(cx: Context<'_>, inputs: &[(&[T], usize)], out: &mut [T]) {
    let row: usize = inputs.iter().map(|input| input.1).sum();
    cx.pieces(out, row, COPY, |first, out| {
        for (index, mut out) in out.chunks_exact_mut(row).enumerate() {
            for (src, length) in inputs {
                let (part, rest) = out.split_at_mut(*length);
                part.copy_from_slice(&src[(first + index) * length..][..*length]);
                out = rest;
            }
        }
    });
}

/// Takes an array apart along an axis. Each output is a slice and the number of its elements per
/// outer index.
///
/// # Panics
/// When the outputs do not hold all of `src`.
pub fn split<T: Copy + Send + Sync>(cx: Context<'_>, src: &[T], outputs: &mut [(&mut [T], usize)]) {
    let row: usize = outputs.iter().map(|output| output.1).sum();
    let mut column = 0;
    for (out, length) in outputs {
        let length = *length;
        cx.pieces(out, length, COPY, |first, out| {
            for (index, part) in out.chunks_exact_mut(length).enumerate() {
                part.copy_from_slice(&src[(first + index) * row + column..][..length]);
            }
        });
        column += length;
    }
}
