//! Elementwise functions with broadcasting, alone or as a fused chain.
//!
//! f32 is computed in vectors; f16 and bf16 are converted block by block. [`numbers`] has the plain
//! loops for every other number type, comparisons and selection.

mod binary;
mod chain;
pub mod numbers;
#[cfg(test)]
mod tests;
mod unary;
mod view;

pub use binary::Binary;
pub use chain::{Step, binary, chain, chain_in_place, unary};
pub use unary::Unary;
pub use view::View;
