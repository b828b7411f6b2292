//! Phi 3 and 4: one matrix for queries, keys and values, one for gate and value; long contexts divide
//! frequencies by factors of their own.

use super::Architecture;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["phi3"],
    adapt: |_keys, decoder| {
        decoder.divisors = if decoder.wanted_context > decoder.original_context {
            "rope_factors_long.weight"
        } else {
            "rope_factors_short.weight"
        };
        Ok(())
    },
};
