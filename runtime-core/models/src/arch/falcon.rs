//! Falcon: attention and a plain feed-forward part side by side, from one norm or from two.

use super::Architecture;
use crate::decoder::{Activation, Norm, Order};

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["falcon"],
    adapt: |_keys, decoder| {
        decoder.norm = Norm::Layer;
        decoder.order = Order::BesideBehindOneNorm;
        decoder.activation = Activation::Gelu;
        decoder.gated = false;
        Ok(())
    },
};
