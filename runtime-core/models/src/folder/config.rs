//! `config.json`, said again as GGUF metadata.

mod mixture;
mod pooling;
mod relative;

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use remuda_gguf::{Builder, Value};
use remuda_ir::OpError;
use remuda_tensor::Tensor;
use serde_json::Value as Json;

use super::form::{self, Form, Head};
use super::{bad, read_json};
use crate::ModelError;

pub(super) use crate::relative::{ENCODER, WHOLE};

/// How a family of models differs in its folders.
#[derive(Debug)]
pub(super) struct Family {
    /// Its name in `model_type`.
    pub(super) theirs: &'static str,
    /// Its name in `general.architecture`.
    pub(super) ours: &'static str,
    /// Whether parts are normalised behind them, too.
    pub(super) post_norms: bool,
    /// Whether norms are kept less one.
    norms_less_one: bool,
    /// Whether keys and values come out of a row that all heads share.
    latent: bool,
    /// How its folders say things, if otherwise than most.
    pub(super) form: Option<&'static Form>,
}

const fn plain(theirs: &'static str, ours: &'static str) -> Family {
    Family { theirs, ours, post_norms: false, norms_less_one: false, latent: false, form: None }
}

const fn formed(theirs: &'static str, ours: &'static str, form: &'static Form) -> Family {
    Family { form: Some(form), ..plain(theirs, ours) }
}

/// Every family that can be read.
pub(super) static FAMILIES: &[Family] = &[
    Family { post_norms: true, norms_less_one: true, ..plain("gemma2", "gemma2") },
    Family { post_norms: true, norms_less_one: true, ..plain("gemma3_text", "gemma3") },
    Family { latent: true, ..plain("deepseek_v2", "deepseek2") },
    Family { latent: true, ..plain("deepseek_v3", "deepseek2") },
    plain("granite", "granite"),
    plain("llama", "llama"),
    plain("mistral", "llama"),
    plain("mixtral", "llama"),
    Family { post_norms: true, ..plain("olmo2", "olmo2") },
    plain("phi3", "phi3"),
    plain("qwen2", "qwen2"),
    plain("qwen2_moe", "qwen2moe"),
    plain("qwen3", "qwen3"),
    plain("qwen3_moe", "qwen3moe"),
    plain("starcoder2", "starcoder2"),
    plain("t5", ENCODER),
    plain("t5", WHOLE),
    formed("bert", "bert", &form::bert::FORM),
    formed("falcon", "falcon", &form::falcon::FORM),
    formed("gpt2", "gpt2", &form::gpt2::FORM),
    formed("gpt_neox", "gptneox", &form::gptneox::FORM),
    formed("nomic_bert", "nomic-bert", &form::nomic_bert::FORM),
];

/// Sizes: theirs, and ours.
const SIZES: &[(&str, &str)] = &[
    ("num_hidden_layers", "block_count"),
    ("max_position_embeddings", "context_length"),
    ("hidden_size", "embedding_length"),
    ("intermediate_size", "feed_forward_length"),
    ("num_attention_heads", "attention.head_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("vocab_size", "vocab_size"),
];

/// Sizes of heads where each has keys and values of its own.
const HEADS: &[(&str, &str)] =
    &[("head_dim", "attention.key_length"), ("head_dim", "attention.value_length")];

/// Numbers: theirs, and ours.
const FLOATS: &[(&str, &str)] = &[
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("layer_norm_eps", "attention.layer_norm_epsilon"),
    ("norm_epsilon", "attention.layer_norm_epsilon"),
    ("rope_theta", "rope.freq_base"),
    ("rope_local_base_freq", "rope.freq_base_swa"),
    ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
    ("embedding_multiplier", "embedding_scale"),
    ("residual_multiplier", "residual_scale"),
    ("attention_multiplier", "attention.scale"),
    ("logits_scaling", "logit_scale"),
];

/// No head turns more pairs.
const MAX_PAIRS: u32 = 1 << 16;

/// A whole number of the configuration that may be written with a point; what is none is the nearest
/// one, and checked when the model is built.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn whole(number: f64) -> u32 {
    number as u32
}

/// A configuration that was read.
pub(super) struct Config {
    path: PathBuf,
    json: Json,
    pub(super) family: &'static Family,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        Self::new(path, read_json(path)?)
    }

    /// The configuration that was read from this file.
    pub(super) fn new(path: &Path, json: Json) -> Result<Self, ModelError> {
        let name = json.get("model_type").and_then(Json::as_str);
        let name = name.ok_or_else(|| bad(path, "expected a text `model_type`"))?;
        let mut named = FAMILIES.iter().filter(|family| family.theirs == name);
        let found = named.find(|family| relative::is_meant(family, &json));
        let known = FAMILIES.iter().map(|family| family.theirs);
        let family = found.ok_or_else(|| ModelError::unknown(name, known))?;
        let config = Self { path: path.to_owned(), json, family };
        config.check_halves()?;
        if let Some(form) = family.form {
            config.check_form(form)?;
        }
        Ok(config)
    }

    /// The settings that are there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let all = self.json.as_object().into_iter().flatten();
        all.filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    /// A key of GGUF metadata.
    pub(super) fn ours(&self, key: &str) -> String {
        format!("{}.{key}", self.family.ours)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Json> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn shown(&self, key: &str) -> String {
        let got = self.get(key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
        got.chars().take(100).collect()
    }

    pub(super) fn wrong(&self, key: &str, expected: &str) -> ModelError {
        bad(&self.path, format!("`{key}`: expected {expected}, got {}", self.shown(key)))
    }

    /// The error of a setting that makes sense, but not to us.
    pub(super) fn unsupported(&self, key: &str, expected: String) -> ModelError {
        let (key, got) = (key.chars().take(100).collect(), self.shown(key));
        ModelError::Unsupported { key, expected, got }
    }

    pub(super) fn size(&self, key: &str) -> Result<Option<u32>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| u32::try_from(size).ok());
        size.map(Some).ok_or_else(|| self.wrong(key, "a size"))
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(key, "a number"))
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// Whether the output matrix is that of the embeddings.
    pub(super) fn tied(&self) -> Result<bool, ModelError> {
        let usual = match self.family.form.map(|form| form.head) {
            Some(Head::None) => return Ok(false),
            Some(Head::Output { tied }) => tied,
            None => self.family.norms_less_one || self.family.ours == WHOLE,
        };
        Ok(self.flag("tie_word_embeddings")?.unwrap_or(usual))
    }

    /// What folders call an output matrix that is not that of the embeddings, where one is known to be
    /// there then.
    pub(super) fn output(&self) -> Option<&'static str> {
        if self.family.ours == WHOLE {
            return Some("lm_head");
        }
        let mut whole = self.family.form.into_iter().flat_map(|form| form.whole);
        whole.find(|(_, ours)| *ours == "output").map(|(theirs, _)| *theirs)
    }

    /// Elements of a head.
    pub(super) fn head(&self) -> Result<f64, ModelError> {
        if let Some(head) = self.float("head_dim")? {
            return Ok(head);
        }
        let need = |key| self.float(key)?.ok_or_else(|| self.wrong(key, "a size"));
        Ok(need("hidden_size")? / need("num_attention_heads")?)
    }

    /// The metadata as a GGUF file without tensors.
    pub(super) fn header(&self) -> Result<Vec<u8>, ModelError> {
        let mut builder = Builder::new();
        builder.set("general.architecture", Value::Text(self.family.ours))?;
        if let Some(form) = self.family.form {
            self.form(form, &mut builder)?;
        } else {
            self.usual(&mut builder)?;
        }
        if self.is_encoder()
            && let Some(pooling) = pooling::read(&self.path)?
        {
            builder.set(&self.ours("pooling_type"), Value::U32(pooling))?;
        }
        let mut header = Vec::new();
        builder.write(&mut header, |_, _| Ok(()))?;
        Ok(header)
    }

    /// Whether it is one of an encoder.
    fn is_encoder(&self) -> bool {
        crate::encoder_names().any(|name| name == self.family.ours)
    }

    /// What most families say alike.
    fn usual(&self, builder: &mut Builder) -> Result<(), ModelError> {
        self.check_supported()?;
        let name = |key: &str| format!("{}.{key}", self.family.ours);
        let heads: &[_] = if self.family.latent { &[] } else { HEADS };
        for (theirs, ours) in SIZES.iter().chain(mixture::SIZES).chain(heads) {
            if let Some(size) = self.size(theirs)? {
                builder.set(&name(ours), Value::U32(size))?;
            }
        }
        for (theirs, ours) in FLOATS {
            if let Some(number) = self.float(theirs)? {
                builder.set(&name(ours), Value::F64(number))?;
            }
        }
        let windowed = self.flag("use_sliding_window")?.unwrap_or(true);
        if let Some(window) = self.size("sliding_window")?.filter(|_| windowed) {
            builder.set(&name("attention.sliding_window"), Value::U32(window))?;
        }
        if let Some(share) = self.float("partial_rotary_factor")?.filter(|&share| share != 1.0) {
            let turned = whole(self.head()? * share);
            builder.set(&name("rope.dimension_count"), Value::U32(turned))?;
        }
        self.scaling(builder)?;
        self.mixture(builder)?;
        self.relative(builder)?;
        if self.family.latent {
            self.latent(builder)?;
        }
        Ok(())
    }

    /// Refuses what GGUF metadata has no word for.
    fn check_supported(&self) -> Result<(), ModelError> {
        if let Some(scalar) = self.float("query_pre_attn_scalar")? {
            let layers = self.float("num_hidden_layers")?.unwrap_or(0.0);
            // The builders know that the largest ones are otherwise.
            let largest = [46.0, 62.0].contains(&layers);
            if scalar != self.head()? && !largest {
                return Err(self.wrong("query_pre_attn_scalar", "the size of a head"));
            }
        }
        if self.flag("use_sliding_window")? == Some(true) {
            return Err(self.wrong("use_sliding_window", "false"));
        }
        if self.get("quantization_config").is_some() {
            return Err(self.wrong("quantization_config", "weights of F32, F16 or BF16"));
        }
        self.check_mixture()
    }

    /// A number of how positions are stretched, if it is there.
    fn of_rope(&self, key: &str) -> Option<f64> {
        self.get("rope_scaling").and_then(|scaling| scaling.get(key)?.as_f64())
    }

    fn rope(&self, key: &str) -> Result<f64, ModelError> {
        self.of_rope(key)
            .filter(|number| *number > 0.0)
            .ok_or_else(|| self.wrong("rope_scaling", &format!("a number above 0 as `{key}`")))
    }

    fn rope_kind(&self) -> Option<&str> {
        let scaling = self.get("rope_scaling")?;
        scaling.get("rope_type").or_else(|| scaling.get("type"))?.as_str()
    }

    fn scaling(&self, builder: &mut Builder) -> Result<(), ModelError> {
        if self.get("rope_scaling").is_none() {
            return Ok(());
        }
        let name = |key: &str| format!("{}.rope.scaling.{key}", self.family.ours);
        match self.rope_kind() {
            // Llama 3 divides frequencies by numbers that are kept as a weight.
            Some("default" | "llama3") => {}
            Some(kind @ ("linear" | "yarn")) => {
                builder.set(&name("type"), Value::Text(kind))?;
                builder.set(&name("factor"), Value::F64(self.rope("factor")?))?;
                let original = self.rope("original_max_position_embeddings").ok();
                if let Some(original) = original.filter(|_| kind == "yarn") {
                    builder.set(&name("original_context_length"), Value::U32(whole(original)))?;
                }
            }
            _ => return Err(self.wrong("rope_scaling", "`linear`, `llama3` or `yarn`")),
        }
        Ok(())
    }

    /// Positions that are stretched by one factor, or not at all.
    pub(super) fn stretched_evenly(&self, builder: &mut Builder) -> Result<(), ModelError> {
        if self.get("rope_scaling").is_none()
            || matches!(self.rope_kind(), Some("default" | "linear"))
        {
            return self.scaling(builder);
        }
        Err(self.unsupported("rope_scaling", "the type `default` or `linear`".to_owned()))
    }

    /// What Llama 3's scaling divides each frequency by, as the weight that GGUF keeps it in.
    pub(super) fn divisors(&self) -> Result<Option<(String, Tensor)>, ModelError> {
        if self.rope_kind() != Some("llama3") {
            return Ok(None);
        }
        let (factor, original) =
            (self.rope("factor")?, self.rope("original_max_position_embeddings")?);
        let (low, high) = (self.rope("low_freq_factor")?, self.rope("high_freq_factor")?);
        let head = self.head()?;
        let base = self.float("rope_theta")?.unwrap_or(10_000.0);
        let divisor = |pair: usize| {
            let length = TAU * base.powf(2.0 * pair as f64 / head);
            let share = ((original / length - low) / (high - low)).clamp(0.0, 1.0);
            #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
            let divisor = (1.0 / ((1.0 - share) / factor + share)) as f32;
            divisor
        };
        let pairs = whole(head / 2.0).min(MAX_PAIRS);
        let divisors = Tensor::vector((0..pairs as usize).map(divisor).collect::<Vec<f32>>());
        Ok(Some(("rope_freqs.weight".to_owned(), divisors)))
    }

    /// A weight as GGUF keeps it.
    pub(super) fn adapt(&self, name: &str, tensor: Tensor) -> Result<Tensor, ModelError> {
        let transposed = self.family.form.is_some_and(|form| form.transposed);
        if transposed && tensor.rank() == 2 && name.starts_with("blk.") {
            return Ok(tensor.permute(&[1, 0]).map_err(OpError::from)?.contiguous());
        }
        if !self.family.norms_less_one || !name.ends_with("norm.weight") {
            return Ok(tensor);
        }
        let values = tensor.to_f32_vec().map_err(OpError::from)?;
        Ok(Tensor::vector(values.into_iter().map(|value| value + 1.0).collect::<Vec<f32>>()))
    }
}
