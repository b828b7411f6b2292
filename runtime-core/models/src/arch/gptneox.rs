//! GPT-NeoX and Pythia: a part of each head is turned; attention and feed-forward stand side by side
//! unless the file says otherwise.

use super::Architecture;
use crate::decoder::{Activation, Norm, Order};

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["gptneox"],
    adapt: |keys, decoder| {
        decoder.norm = Norm::Layer;
        let beside = keys.flag("use_parallel_residual")?.unwrap_or(true);
        decoder.order = if beside { Order::Beside } else { Order::Serial };
        decoder.activation = Activation::Gelu;
        decoder.gated = false;
        Ok(())
    },
};
