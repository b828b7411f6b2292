//! Kernels that only move elements: any type of any size, bits untouched.

mod gather;
mod join;
mod remap;
#[cfg(test)]
mod tests;
mod transpose;

use crate::context::Picoseconds;

pub use gather::{GatherError, gather};
pub use join::{concat, split};
pub use remap::{AxisMap, Fill, PadMode, remap};
pub use transpose::{Movable, transpose};

/// Moving memory: bound by bandwidth.
const COPY: Picoseconds = Picoseconds(150);
