//! `StarCoder` 2: layer norms, biases, and a plain feed-forward part.

use super::Architecture;
use crate::decoder::{Activation, Norm};

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["starcoder2"],
    adapt: |_keys, decoder| {
        decoder.norm = Norm::Layer;
        decoder.activation = Activation::GeluTanh;
        decoder.gated = false;
        Ok(())
    },
};
