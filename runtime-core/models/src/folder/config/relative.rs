//! T5's encoder in `config.json`, said again as GGUF metadata.

use remuda_gguf::{Builder, Value};

use super::{Config, Json};
use crate::ModelError;

/// The architecture that the encoder alone is.
pub(in crate::folder) const ENCODER: &str = "t5encoder";

/// How `config.json` names the encoder alone.
const THEIRS: &str = "T5EncoderModel";

/// Sizes: theirs, and ours.
const SIZES: &[(&str, &str)] = &[
    ("d_ff", "feed_forward_length"),
    ("d_kv", "attention.key_length"),
    ("d_model", "embedding_length"),
    ("num_heads", "attention.head_count"),
    ("num_layers", "block_count"),
    ("relative_attention_num_buckets", "attention.relative_buckets_count"),
];

/// Tokens that T5 was trained with, where the configuration does not say it.
const CONTEXT: u32 = 512;

impl Config {
    /// Refuses folders that hold a decoder, too.
    pub(super) fn check_encoder(&self) -> Result<(), ModelError> {
        let named = self.get("architectures").and_then(|names| names.get(0)?.as_str());
        if self.family.ours != ENCODER || named == Some(THEIRS) {
            return Ok(());
        }
        Err(ModelError::EncoderDecoder { name: self.family.theirs.to_owned() })
    }

    /// What T5 calls otherwise than others.
    pub(super) fn relative(&self, builder: &mut Builder) -> Result<(), ModelError> {
        if self.family.ours != ENCODER {
            return Ok(());
        }
        if self.size("relative_attention_max_distance")?.is_some_and(|farthest| farthest != 128) {
            return Err(self.wrong("relative_attention_max_distance", "128"));
        }
        match self.get("feed_forward_proj").map(Json::as_str) {
            None | Some(Some("relu" | "gated-gelu")) => {}
            Some(_) => return Err(self.wrong("feed_forward_proj", "`relu` or `gated-gelu`")),
        }
        let name = |key: &str| format!("{ENCODER}.{key}");
        for (theirs, ours) in SIZES {
            if let Some(size) = self.size(theirs)? {
                builder.set(&name(ours), Value::U32(size))?;
            }
        }
        if let Some(epsilon) = self.float("layer_norm_epsilon")? {
            builder.set(&name("attention.layer_norm_rms_epsilon"), Value::F64(epsilon))?;
        }
        let context = self.size("n_positions")?.unwrap_or(CONTEXT);
        Ok(builder.set(&name("context_length"), Value::U32(context))?)
    }
}
