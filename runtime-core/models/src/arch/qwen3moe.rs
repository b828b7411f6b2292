//! Qwen 3 with experts: as Qwen 3, and each layer's feed-forward part is a mixture.

use super::Architecture;
use crate::decoder::QkNorm;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["qwen3moe"],
    adapt: |_keys, decoder| {
        decoder.qk_norm = QkNorm::Heads;
        decoder.mixes = true;
        Ok(())
    },
};
