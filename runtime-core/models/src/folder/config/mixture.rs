//! Mixtures of experts and latent attention in `config.json`, said again as GGUF metadata.

use remuda_gguf::{Builder, Value};

use super::{Config, Json};
use crate::ModelError;

/// Sizes: theirs, and ours.
pub(super) const SIZES: &[(&str, &str)] = &[
    ("num_local_experts", "expert_count"),
    ("num_experts", "expert_count"),
    ("n_routed_experts", "expert_count"),
    ("num_experts_per_tok", "expert_used_count"),
    ("n_shared_experts", "expert_shared_count"),
    ("moe_intermediate_size", "expert_feed_forward_length"),
    ("shared_expert_intermediate_size", "expert_shared_feed_forward_length"),
    ("first_k_dense_replace", "leading_dense_block_count"),
    ("q_lora_rank", "attention.q_lora_rank"),
    ("kv_lora_rank", "attention.kv_lora_rank"),
    ("qk_rope_head_dim", "rope.dimension_count"),
];

/// What attention grows by under `YaRN`, for each natural logarithm of the factor.
const GROWTH: f64 = 0.1;

impl Config {
    /// Refuses mixtures in some layers only, and shares other than those that the builders make.
    pub(super) fn check_mixture(&self) -> Result<(), ModelError> {
        for key in ["decoder_sparse_step", "moe_layer_freq"] {
            if self.size(key)?.is_some_and(|every| every != 1) {
                return Err(self.wrong(key, "1"));
            }
        }
        let dense = self.get("mlp_only_layers").and_then(Json::as_array);
        if dense.is_some_and(|layers| !layers.is_empty()) {
            return Err(self.wrong("mlp_only_layers", "no layers"));
        }
        // Whether the shares of a token's experts add up to one, where the architecture fixes it.
        let fixed = match self.family.theirs {
            "qwen2_moe" => Some(false),
            "qwen3_moe" => Some(true),
            _ => None,
        };
        if let Some(fixed) = fixed
            && self.flag("norm_topk_prob")?.unwrap_or(false) != fixed
        {
            return Err(self.wrong("norm_topk_prob", if fixed { "true" } else { "false" }));
        }
        Ok(())
    }

    /// How the shares of experts are made, where that is not the architecture's own.
    pub(super) fn mixture(&self, builder: &mut Builder) -> Result<(), ModelError> {
        if !self.family.latent {
            return Ok(());
        }
        let name = |key: &str| format!("{}.{key}", self.family.ours);
        if let Some(scale) = self.float("routed_scaling_factor")? {
            builder.set(&name("expert_weights_scale"), Value::F64(scale))?;
        }
        if let Some(to_one) = self.flag("norm_topk_prob")? {
            builder.set(&name("expert_weights_norm"), Value::Bool(to_one))?;
        }
        let newer = self.family.theirs == "deepseek_v3";
        let gate = match self.get("scoring_func").map(Json::as_str) {
            None => {
                if newer {
                    2
                } else {
                    1
                }
            }
            Some(Some("softmax")) => 1,
            Some(Some("sigmoid")) => 2,
            Some(_) => return Err(self.wrong("scoring_func", "`softmax` or `sigmoid`")),
        };
        builder.set(&name("expert_gating_func"), Value::U32(gate))?;
        let method = self.get("topk_method").and_then(Json::as_str);
        let method = method.unwrap_or(if newer { "noaux_tc" } else { "greedy" });
        let groups = self.size("n_group")?.filter(|&groups| groups > 1);
        match (method, groups, self.size("topk_group")?) {
            ("greedy", ..) | ("noaux_tc" | "group_limited_greedy", None, _) => {}
            ("noaux_tc", Some(groups), Some(best)) => {
                builder.set(&name("expert_group_count"), Value::U32(groups))?;
                builder.set(&name("expert_group_used_count"), Value::U32(best))?;
            }
            _ => return Err(self.wrong("topk_method", "`greedy`, or `noaux_tc` with groups")),
        }
        Ok(())
    }

    /// Heads whose keys and values come out of a row that all share, and how their scores grow.
    pub(super) fn latent(&self, builder: &mut Builder) -> Result<(), ModelError> {
        let name = |key: &str| format!("{}.{key}", self.family.ours);
        let need = |key: &str| self.size(key)?.ok_or_else(|| self.wrong(key, "a size"));
        let (plain, turned) = (need("qk_nope_head_dim")?, need("qk_rope_head_dim")?);
        let head = plain.saturating_add(turned);
        builder.set(&name("attention.key_length"), Value::U32(head))?;
        builder.set(&name("attention.value_length"), Value::U32(need("v_head_dim")?))?;
        if self.rope_kind() != Some("yarn") {
            return Ok(());
        }
        let of_all = self.of_rope("mscale_all_dim").unwrap_or(0.0);
        let grown = |by: f64, factor: f64| 1.0 + GROWTH * by * factor.ln().max(0.0);
        let factor = self.rope("factor")?;
        let turned = grown(self.of_rope("mscale").unwrap_or(1.0), factor) / grown(of_all, factor);
        builder.set(&name("rope.scaling.yarn_log_multiplier"), Value::F64(GROWTH * of_all))?;
        builder.set(&name("rope.scaling.attn_factor"), Value::F64(turned))?;
        for (theirs, ours) in [("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
            if let Some(turns) = self.of_rope(theirs) {
                builder.set(&name(&format!("rope.scaling.{ours}")), Value::F64(turns))?;
            }
        }
        Ok(())
    }
}
