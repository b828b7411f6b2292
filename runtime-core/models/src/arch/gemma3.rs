//! Gemma 3: norms on both sides of each part and on queries and keys; five layers in six have a window
//! and turn positions faster.

use super::Architecture;
use crate::decoder::{Activation, QkNorm};
use crate::rope::Scaling;

const LAYERS_OF_27B: usize = 62;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["gemma3"],
    adapt: |keys, decoder| {
        decoder.embedding_scale = (decoder.features as f64).sqrt();
        decoder.post_norm = true;
        decoder.qk_norm = QkNorm::Heads;
        decoder.activation = Activation::GeluTanh;
        decoder.final_softcap = keys.float("final_logit_softcapping")?.filter(|&cap| cap > 0.0);
        decoder.windowed = |layer| layer % 6 < 5;
        let mut local = decoder.rope.clone();
        local.base = keys.float_or("rope.freq_base_swa", 10_000.0)?;
        local.scaling = Scaling::None;
        decoder.local_rope = Some(local);
        if decoder.layers == LAYERS_OF_27B {
            // The largest scales by the features of a head as if heads shared all features.
            decoder.attention_scale = (decoder.features as f64 / decoder.heads as f64).powf(-0.5);
        }
        Ok(())
    },
};
