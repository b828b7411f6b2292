//! Gemma 2: norms on both sides of each part, bent scores and logits, and a window in every second
//! layer.

use super::Architecture;
use crate::decoder::Activation;

const LAYERS_OF_27B: usize = 46;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["gemma2"],
    adapt: |keys, decoder| {
        decoder.embedding_scale = (decoder.features as f64).sqrt();
        decoder.post_norm = true;
        decoder.activation = Activation::GeluTanh;
        decoder.attention_softcap = Some(keys.float_or("attn_logit_softcapping", 50.0)?);
        decoder.final_softcap = Some(keys.float_or("final_logit_softcapping", 30.0)?);
        decoder.window = decoder.window.or(Some(4096));
        decoder.windowed = |layer| layer % 2 == 0;
        if decoder.layers == LAYERS_OF_27B {
            // The largest scales by the features of a head as if heads shared all features.
            decoder.attention_scale = (decoder.features as f64 / decoder.heads as f64).powf(-0.5);
        }
        Ok(())
    },
};
