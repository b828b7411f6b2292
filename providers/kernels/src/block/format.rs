//! The formats that have kernels of their own, and how much memory they take when packed.

use super::Grain;
use super::recipe::{BLOCK, RECORD, Recipe};

/// Calls a block of code with the [`Recipe`] of a format, or another one with the floats.
macro_rules! with_recipe {
    ($format:expr, $recipe:ident => $quantised:expr, $float:ident => $floats:expr) => {{
        use $crate::block::{float, recipe};
        match $format {
            $crate::block::Format::F32 => {
                type $float = float::Singles;
                $floats
            }
            $crate::block::Format::F16 => {
                type $float = float::Halves;
                $floats
            }
            $crate::block::Format::Bf16 => {
                type $float = float::BrainHalves;
                $floats
            }
            $crate::block::Format::Q40 => {
                type $recipe = recipe::Q4Zero;
                $quantised
            }
            $crate::block::Format::Q41 => {
                type $recipe = recipe::Q4One;
                $quantised
            }
            $crate::block::Format::Q50 => {
                type $recipe = recipe::Q5Zero;
                $quantised
            }
            $crate::block::Format::Q51 => {
                type $recipe = recipe::Q5One;
                $quantised
            }
            $crate::block::Format::Q80 => {
                type $recipe = recipe::Q8Zero;
                $quantised
            }
            $crate::block::Format::Q2K => {
                type $recipe = recipe::Q2K;
                $quantised
            }
            $crate::block::Format::Q3K => {
                type $recipe = recipe::Q3K;
                $quantised
            }
            $crate::block::Format::Q4K => {
                type $recipe = recipe::Q4K;
                $quantised
            }
            $crate::block::Format::Q5K => {
                type $recipe = recipe::Q5K;
                $quantised
            }
            $crate::block::Format::Q6K => {
                type $recipe = recipe::Q6K;
                $quantised
            }
            $crate::block::Format::Iq4Nl => {
                type $recipe = recipe::Iq4Nl;
                $quantised
            }
            $crate::block::Format::Iq4Xs => {
                type $recipe = recipe::Iq4Xs;
                $quantised
            }
            $crate::block::Format::Mxfp4 => {
                type $recipe = recipe::Mxfp4;
                $quantised
            }
        }
    }};
}

pub(super) use with_recipe;

use super::float::FloatRecipe;
use super::lanes::ROWS;
use super::recipe::Kind;

/// A format with kernels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    Bf16,
    /// 4 bits, a scale for 32.
    Q40,
    /// 4 bits, a scale and a minimum for 32.
    Q41,
    /// 5 bits, a scale for 32.
    Q50,
    /// 5 bits, a scale and a minimum for 32.
    Q51,
    /// 8 bits, a scale for 32.
    Q80,
    /// 2 bits, small scales and minima for 16.
    Q2K,
    /// 3 bits, small scales for 16.
    Q3K,
    /// 4 bits, small scales and minima for 32.
    Q4K,
    /// 5 bits, small scales and minima for 32.
    Q5K,
    /// 6 bits, small scales for 16.
    Q6K,
    /// 4 bits in a table of levels, a scale for 32.
    Iq4Nl,
    /// 4 bits in a table of levels, small scales for 32.
    Iq4Xs,
    /// 4-bit floats, a power of two for 32.
    Mxfp4,
}

/// Formats and their type numbers in GGUF files.
const GGML_TYPES: [(Format, u32); 16] = [
    (Format::F32, 0),
    (Format::F16, 1),
    (Format::Q40, 2),
    (Format::Q41, 3),
    (Format::Q50, 6),
    (Format::Q51, 7),
    (Format::Q80, 8),
    (Format::Q2K, 10),
    (Format::Q3K, 11),
    (Format::Q4K, 12),
    (Format::Q5K, 13),
    (Format::Q6K, 14),
    (Format::Iq4Nl, 20),
    (Format::Iq4Xs, 23),
    (Format::Bf16, 30),
    (Format::Mxfp4, 39),
];

impl Format {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        GGML_TYPES.into_iter().map(|(format, _)| format)
    }

    /// The format of this type number in GGUF files, if it has kernels of its own.
    #[must_use]
    pub fn of_ggml_type(ggml_type: u32) -> Option<Self> {
        GGML_TYPES.into_iter().find(|entry| entry.1 == ggml_type).map(|(format, _)| format)
    }

    /// The type number in GGUF files.
    #[must_use]
    pub fn ggml_type(self) -> u32 {
        GGML_TYPES.into_iter().find(|entry| entry.0 == self).map_or(0, |(_, number)| number)
    }

    /// Values and bytes of a block in a file.
    #[must_use]
    pub fn source_block(self) -> [usize; 2] {
        with_recipe!(self, R => R::SOURCE, F => [1, F::BYTES])
    }

    /// The activations that it is multiplied with.
    #[must_use]
    pub fn grain(self) -> Grain {
        with_recipe!(
            self,
            R => if <R as Recipe>::Kind::WIDE { Grain::Record } else { Grain::Block },
            F => { let _: Option<F> = None; Grain::Float }
        )
    }

    /// Bytes that `rows` rows of `depth` values take in a file; nothing if `depth` is no whole number
    /// of blocks or it does not fit an integer.
    #[must_use]
    pub fn source_bytes(self, rows: usize, depth: usize) -> Option<usize> {
        let [values, bytes] = self.source_block();
        let whole = depth.is_multiple_of(values);
        whole.then(|| (depth / values).checked_mul(bytes)?.checked_mul(rows)).flatten()
    }

    /// Bytes that they take when packed.
    #[must_use]
    pub fn packed_bytes(self, rows: usize, depth: usize) -> Option<usize> {
        self.source_bytes(rows, depth)?;
        self.group_bytes(depth)?.checked_mul(rows.div_ceil(ROWS))
    }

    /// Bytes of a packed group of rows.
    pub(super) fn group_bytes(self, depth: usize) -> Option<usize> {
        with_recipe!(
            self,
            R => group_bytes::<R>(depth),
            F => depth.checked_mul(ROWS * F::BYTES)
        )
    }
}

/// Bytes of a record of so many blocks.
pub(super) const fn record_bytes<R: Recipe>(blocks: usize) -> usize {
    R::HEADER + blocks * R::PER_BLOCK
}

fn group_bytes<R: Recipe>(depth: usize) -> Option<usize> {
    let whole = (depth / RECORD).checked_mul(record_bytes::<R>(RECORD / BLOCK))?;
    match depth % RECORD {
        0 => Some(whole),
        rest => whole.checked_add(record_bytes::<R>(rest / BLOCK)),
    }
}
