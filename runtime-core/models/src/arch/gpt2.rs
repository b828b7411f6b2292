//! GPT-2: a table of positions, one matrix for queries, keys and values, a plain feed-forward part.

use super::Architecture;
use crate::decoder::{Activation, Norm};

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["gpt2"],
    adapt: |_keys, decoder| {
        decoder.norm = Norm::Layer;
        decoder.rope.size = 0;
        decoder.learned_positions = true;
        decoder.activation = Activation::GeluTanh;
        decoder.gated = false;
        Ok(())
    },
};
