//! Normalisations: over a row (layer, RMS), over a group of channels (group, instance), and by given
//! statistics (batch).
//!
//! Mean and variance are taken in two passes over data that is in the first-level cache by then, so
//! a great mean costs no accuracy.

mod groups;
mod rows;
#[cfg(test)]
mod tests;

pub use groups::{ChannelAffine, batch_norm, group_norm};
pub use rows::{Affine, RowNorm, add_and_norm, norm};
