//! Llama 2 and 3, Mistral, Mixtral, `SmolLM` and the many that share their form: neighbouring elements are
//! turned, and the file may bring factors of frequencies.

use super::Architecture;
use crate::rope::Pairing;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["llama"],
    adapt: |_keys, decoder| {
        decoder.rope.pairing = Pairing::Neighbours;
        decoder.mixes = true;
        Ok(())
    },
};
