//! Block formats, as files hold them.
//!
//! Blocks of most formats are no whole number of words, so they are read by the byte, two bytes or more at
//! a time: all sizes and places are even. Every format gives four neighbouring elements at a time, which
//! share their scales; where they begin is a multiple of four.

use remuda_sdk::tensor::quant::BlockFormat;

/// A block format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Blocks {
    Q4_0,
    Q8_0,
    Q4K,
    Q6K,
}

impl Blocks {
    pub(crate) const ALL: [Self; 4] = [Self::Q4_0, Self::Q8_0, Self::Q4K, Self::Q6K];

    /// As the formats of tensors are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "q4_0",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Q6K => "q6_k",
        }
    }

    /// The format of this name, if it is read.
    pub(crate) fn of(format: &BlockFormat) -> Option<Self> {
        Self::ALL.into_iter().find(|blocks| blocks.name() == format.name)
    }

    pub(crate) fn elements(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q6K => 256,
        }
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q6K => 210,
        }
    }

    /// `block4(row, i)`: the elements from `i` on of the row that begins at a byte of the array `b`.
    pub(super) fn text(self) -> String {
        let own = match self {
            Self::Q4_0 => include_str!("blocks/q4_0.wgsl"),
            Self::Q8_0 => include_str!("blocks/q8_0.wgsl"),
            Self::Q4K => include_str!("blocks/q4_k.wgsl"),
            Self::Q6K => include_str!("blocks/q6_k.wgsl"),
        };
        [include_str!("blocks/bytes.wgsl"), own].join("\n")
    }
}
