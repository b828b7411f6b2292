//! T5 in `config.json`, whole or its encoder alone, said again as GGUF metadata.

use remuda_gguf::{Builder, Value};

use super::{Config, ENCODER, Family, Json, WHOLE};
use crate::ModelError;

/// How `config.json` names the encoder alone.
const ENCODERS: &[&str] = &["T5EncoderModel"];
/// How it names both halves with a head for text.
const WHOLES: &[&str] = &["T5ForConditionalGeneration", "T5WithLMHeadModel"];

/// Sizes: theirs, and ours.
const SIZES: &[(&str, &str)] = &[
    ("d_ff", "feed_forward_length"),
    ("d_kv", "attention.key_length"),
    ("d_model", "embedding_length"),
    ("num_heads", "attention.head_count"),
    ("num_decoder_layers", "decoder_block_count"),
    ("num_layers", "block_count"),
    ("relative_attention_num_buckets", "attention.relative_buckets_count"),
];

/// Tokens that T5 was trained with, where the configuration does not say it.
const CONTEXT: u32 = 512;

/// What the configuration names as the model's form.
fn named(json: &Json) -> Option<&str> {
    json.get("architectures").and_then(|names| names.get(0)?.as_str())
}

/// Whether the configuration means this one of two families that are named alike: the encoder alone has to
/// be said.
pub(super) fn is_meant(family: &Family, json: &Json) -> bool {
    family.ours != ENCODER || named(json).is_some_and(|name| ENCODERS.contains(&name))
}

impl Config {
    /// Refuses folders whose head makes no text.
    pub(super) fn check_halves(&self) -> Result<(), ModelError> {
        let known = named(&self.json).is_none_or(|name| WHOLES.contains(&name));
        if self.family.ours != WHOLE || known {
            return Ok(());
        }
        let forms: Vec<_> = WHOLES.iter().chain(ENCODERS).map(|name| format!("`{name}`")).collect();
        Err(self.unsupported("architectures", forms.join(" or ")))
    }

    /// What T5 calls otherwise than others.
    pub(super) fn relative(&self, builder: &mut Builder) -> Result<(), ModelError> {
        if ![ENCODER, WHOLE].contains(&self.family.ours) {
            return Ok(());
        }
        if self.size("relative_attention_max_distance")?.is_some_and(|farthest| farthest != 128) {
            return Err(self.wrong("relative_attention_max_distance", "128"));
        }
        match self.get("feed_forward_proj").map(Json::as_str) {
            None | Some(Some("relu" | "gated-gelu")) => {}
            Some(_) => return Err(self.wrong("feed_forward_proj", "`relu` or `gated-gelu`")),
        }
        let name = |key: &str| self.ours(key);
        for (theirs, ours) in SIZES {
            if let Some(size) = self.size(theirs)? {
                builder.set(&name(ours), Value::U32(size))?;
            }
        }
        if let Some(epsilon) = self.float("layer_norm_epsilon")? {
            builder.set(&name("attention.layer_norm_rms_epsilon"), Value::F64(epsilon))?;
        }
        if self.family.ours == WHOLE {
            let start = self.size("decoder_start_token_id")?.or(self.size("pad_token_id")?);
            builder.set(&name("decoder_start_token_id"), Value::U32(start.unwrap_or(0)))?;
        }
        let context = self.size("n_positions")?.unwrap_or(CONTEXT);
        Ok(builder.set(&name("context_length"), Value::U32(context))?)
    }
}
