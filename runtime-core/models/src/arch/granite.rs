//! Granite: a Llama whose embeddings, residuals, scores and logits are scaled.

use super::Architecture;
use crate::rope::Pairing;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["granite"],
    adapt: |keys, decoder| {
        decoder.rope.pairing = Pairing::Neighbours;
        decoder.embedding_scale = keys.float_or("embedding_scale", 1.0)?;
        decoder.residual_scale = keys.float_or("residual_scale", 1.0)?;
        decoder.attention_scale = keys.float_or("attention.scale", decoder.attention_scale)?;
        let scale = keys.float_or("logit_scale", 1.0)?;
        if scale == 0.0 {
            return Err(keys.bad(
                "logit_scale",
                "a number other than 0".to_owned(),
                "0".to_owned(),
            ));
        }
        decoder.logit_scale = 1.0 / scale;
        Ok(())
    },
};
