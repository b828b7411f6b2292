//! WGSL of every kernel, and how it is launched on tensors of given sizes.
//!
//! One module per family of kernels; each has functions from what is computed and the sizes at hand to
//! [`Dispatch`]es. Nothing here touches a device: a kernel is text, a launch is numbers, so all of it is
//! tested without one. Sources depend on kinds, element types and numbers of axes, sizes are parameters:
//! pipelines are cached by source.
//!
//! Storage: elements of [`Elem::F32`] and [`Elem::I32`] take a word each, [`Elem::Bool`] too (0 or 1).
//! Halves lie in pairs in a word, the first in the low bits; blocks lie as in files. Only f32, i32 and
//! bool tensors are written, but for tables of caches; halves are read everywhere.

mod attention;
mod blocks;
mod expr;
mod gather;
mod lines;
mod norm;
mod pointwise;
mod pool;
mod product;
mod reduce;
mod remap;
mod resize;
mod rotary;
mod softmax;
mod source;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use attention::{Attention, Heads, Mask, Seen, store_rows};
pub(crate) use blocks::Blocks;
pub(crate) use expr::{Binary, Expr, ExprError, Unary};
pub(crate) use gather::{gather, gather_blocks};
pub(crate) use norm::{Channels, Norm};
pub(crate) use pointwise::pointwise;
pub(crate) use pool::{Pool, Pooling};
pub(crate) use product::{Convolution, Extra, Factor, Left, Patches, Product, Rows, convolution};
pub(crate) use reduce::{Reduced, Reduction, reduce};
pub(crate) use remap::remap;
pub(crate) use resize::resize;
pub(crate) use rotary::Rotary;
pub(crate) use softmax::softmax;
#[cfg(test)]
pub(crate) use source::Launch;
pub(crate) use source::{Dispatch, Elem, Kernel};
pub(crate) use view::{View, contiguous_strides};
