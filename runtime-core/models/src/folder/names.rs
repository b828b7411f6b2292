//! The names of weights: from those of HuggingFace folders to those of GGUF files.

use super::config::Family;
use crate::ModelError;

/// What stands between a layer's number and `.weight`.
const LAYER: &[(&str, &str)] = &[
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

/// The name of a weight in GGUF; none for what the builders work out themselves.
pub(super) fn translate(name: &str, family: &Family) -> Result<Option<String>, ModelError> {
    if name.ends_with("rotary_emb.inv_freq") {
        return Ok(None);
    }
    let unknown = || ModelError::Unused { name: name.chars().take(200).collect() };
    let plain = name.strip_prefix("model.").unwrap_or(name);
    let (stem, ending) = plain.rsplit_once('.').ok_or_else(unknown)?;
    if !matches!(ending, "weight" | "bias") {
        return Err(unknown());
    }
    let whole = match stem {
        "embed_tokens" => Some("token_embd"),
        "norm" => Some("output_norm"),
        "lm_head" => Some("output"),
        _ => None,
    };
    if let Some(whole) = whole {
        return Ok(Some(format!("{whole}.{ending}")));
    }
    let layer = stem.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
    let (number, part) = layer.ok_or_else(unknown)?;
    let number: u32 = number.parse().map_err(|_| unknown())?;
    let after_attention = if family.post_norms { "post_attention_norm" } else { "ffn_norm" };
    let ours = match part {
        "post_attention_layernorm" => after_attention,
        _ => LAYER.iter().find(|(theirs, _)| *theirs == part).ok_or_else(unknown)?.1,
    };
    Ok(Some(format!("blk.{number}.{ours}.{ending}")))
}

#[cfg(test)]
mod tests {
    use super::super::config::FAMILIES;
    use super::translate;

    #[test]
    fn names_are_translated_and_strangers_refused() {
        let llama = FAMILIES.iter().find(|family| family.theirs == "llama").unwrap();
        let gemma = FAMILIES.iter().find(|family| family.theirs == "gemma2").unwrap();
        let ours = |name: &str| translate(name, llama).unwrap();
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(ours("model.embed_tokens.weight"), some("token_embd.weight"));
        assert_eq!(ours("lm_head.weight"), some("output.weight"));
        assert_eq!(ours("model.layers.7.mlp.up_proj.bias"), some("blk.7.ffn_up.bias"));
        assert_eq!(ours("model.layers.0.self_attn.rotary_emb.inv_freq"), None);
        let norm = "model.layers.1.post_attention_layernorm.weight";
        assert_eq!(ours(norm), some("blk.1.ffn_norm.weight"));
        assert_eq!(translate(norm, gemma).unwrap(), some("blk.1.post_attention_norm.weight"));
        for name in
            ["model.layers.x.mlp.up_proj.weight", "vision.weight", "norm", "model.norm.scale"]
        {
            assert!(translate(name, llama).is_err(), "{name}");
        }
    }
}
