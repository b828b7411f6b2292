//! Qwen 3: queries and keys are normalised head by head.

use super::Architecture;
use crate::decoder::QkNorm;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["qwen3"],
    adapt: |_keys, decoder| {
        decoder.qk_norm = QkNorm::Heads;
        Ok(())
    },
};
