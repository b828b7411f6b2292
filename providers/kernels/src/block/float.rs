//! Products with weights that are floats, and with any format that is decoded when it is needed.
//!
//! Floats are packed like the block formats, sixteen rows in a group, a vector per step of the depth.
//! Few tokens meet them as they come from memory; for many a panel of 64 rows is widened into the
//! first-level cache. The sums run along the depth in one order whatever the number of tokens.

mod few;
mod many;

use half::{bf16, f16};

use super::lanes::{Lanes, ROWS};

pub(super) use few::FewFloats;
pub(super) use many::{Buffers, DECODED, FloatPanels, ManyFloats, Panels, many_floats_length};

/// A float that weights are kept as.
pub(super) trait FloatRecipe: Send + Sync + 'static {
    /// Bytes of a value.
    const BYTES: usize;
    /// The values of sixteen rows.
    type Vector: 'static;

    /// The whole vectors of a run.
    fn vectors(bytes: &[u8]) -> &[Self::Vector];
    /// Widened.
    fn load<L: Lanes>(l: L, vector: &Self::Vector) -> L::Floats;
}

/// Writes a row into its group.
pub(super) fn pack<R: FloatRecipe>(source: &[u8], lane: usize, group: &mut [u8]) {
    let values = source.chunks_exact(R::BYTES);
    let places = group.chunks_exact_mut(ROWS * R::BYTES);
    for (value, place) in values.zip(places) {
        place[lane * R::BYTES..][..R::BYTES].copy_from_slice(value);
    }
}

pub(crate) struct Singles;

impl FloatRecipe for Singles {
    const BYTES: usize = 4;
    type Vector = [u8; 4 * ROWS];

    #[inline(always)]
    fn vectors(bytes: &[u8]) -> &[Self::Vector] {
        bytes.as_chunks().0
    }

    #[inline(always)]
    fn load<L: Lanes>(l: L, vector: &Self::Vector) -> L::Floats {
        let mut values = [0.0; ROWS];
        for (value, bytes) in values.iter_mut().zip(vector.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        l.floats(&values)
    }
}

pub(crate) struct Halves;

impl FloatRecipe for Halves {
    const BYTES: usize = size_of::<f16>();
    type Vector = [u8; 2 * ROWS];

    #[inline(always)]
    fn vectors(bytes: &[u8]) -> &[Self::Vector] {
        bytes.as_chunks().0
    }

    #[inline(always)]
    fn load<L: Lanes>(l: L, vector: &Self::Vector) -> L::Floats {
        l.halves(vector)
    }
}

pub(crate) struct BrainHalves;

impl FloatRecipe for BrainHalves {
    const BYTES: usize = size_of::<bf16>();
    type Vector = [u8; 2 * ROWS];

    #[inline(always)]
    fn vectors(bytes: &[u8]) -> &[Self::Vector] {
        bytes.as_chunks().0
    }

    #[inline(always)]
    fn load<L: Lanes>(l: L, vector: &Self::Vector) -> L::Floats {
        l.brain_halves(vector)
    }
}
