//! `OLMo` 2: norms behind each part instead of in front, and on all queries and keys together.

use super::Architecture;
use crate::decoder::QkNorm;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["olmo2"],
    adapt: |_keys, decoder| {
        decoder.pre_norm = false;
        decoder.post_norm = true;
        decoder.qk_norm = QkNorm::Whole;
        Ok(())
    },
};
