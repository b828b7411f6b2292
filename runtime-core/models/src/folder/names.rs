//! The names of weights: from those of HuggingFace folders to those of GGUF files.

use super::config::{ENCODER, Family, WHOLE};
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
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_a_layernorm", "attn_q_a_norm"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    ("self_attn.kv_b_proj", "attn_kv_b"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
];

/// What stands behind an expert's number.
const EXPERT: &[(&str, &str)] = &[
    ("w1", "ffn_gate"),
    ("w2", "ffn_down"),
    ("w3", "ffn_up"),
    ("gate_proj", "ffn_gate"),
    ("down_proj", "ffn_down"),
    ("up_proj", "ffn_up"),
];

/// The name of an expert's matrix, between a layer's number and `.weight`.
fn of_expert(part: &str) -> Option<String> {
    let rest = part.strip_prefix("block_sparse_moe.experts.");
    let (number, matrix) = rest.or_else(|| part.strip_prefix("mlp.experts."))?.split_once('.')?;
    let number: u32 = number.parse().ok()?;
    let (_, ours) = EXPERT.iter().find(|(theirs, _)| *theirs == matrix)?;
    Some(format!("{ours}.{number}"))
}

/// The parts of T5's layers that attend: between a layer's number and `.weight` of a matrix, and what GGUF
/// puts in front of the matrix.
const ATTENTIONS: &[(&str, &str)] = &[("SelfAttention", "attn"), ("EncDecAttention", "cross_attn")];

/// The matrices of those.
const MATRICES: &[(&str, &str)] =
    &[("k", "k"), ("o", "o"), ("q", "q"), ("relative_attention_bias", "rel_b"), ("v", "v")];

/// The matrices of the part that feeds forward.
const FEEDING: &[(&str, &str)] =
    &[("wi", "ffn_up"), ("wi_0", "ffn_gate"), ("wi_1", "ffn_up"), ("wo", "ffn_down")];

/// The name of a part of T5's layer, of which so many come before the one that feeds forward.
fn of_relative_layer(part: &str, attentions: usize) -> Option<String> {
    let (place, rest) = part.strip_prefix("layer.")?.split_once('.')?;
    let place: usize = place.parse().ok()?;
    let of = |table: &'static [(&str, &str)], name: &str| {
        table.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
    };
    let Some(&(module, ours)) = ATTENTIONS.get(..attentions)?.get(place) else {
        let matrix = rest.strip_prefix("DenseReluDense.");
        return match (place == attentions, matrix) {
            (true, Some(matrix)) => of(FEEDING, matrix).map(str::to_owned),
            (true, None) if rest == "layer_norm" => Some("ffn_norm".to_owned()),
            _ => None,
        };
    };
    if rest == "layer_norm" {
        return Some(format!("{ours}_norm"));
    }
    let matrix = rest.strip_prefix(module)?.strip_prefix('.')?;
    Some(format!("{ours}_{}", of(MATRICES, matrix)?))
}

/// The name of a weight of T5, whole or its encoder alone; none for the embeddings' other names.
fn of_relative(name: &str, whole: bool) -> Result<Option<String>, ModelError> {
    let unknown = || ModelError::Unused { name: name.chars().take(200).collect() };
    let stem = name.strip_suffix(".weight").ok_or_else(unknown)?;
    match stem {
        "shared" => return Ok(Some("token_embd.weight".to_owned())),
        "lm_head" if whole => return Ok(Some("output.weight".to_owned())),
        "encoder.embed_tokens" | "decoder.embed_tokens" => return Ok(None),
        _ => {}
    }
    let halves: &[_] = &[("encoder.", "enc", 1), ("decoder.", "dec", 2)];
    let half = halves
        .iter()
        .take(if whole { 2 } else { 1 })
        .find_map(|&(theirs, ours, count)| Some((stem.strip_prefix(theirs)?, ours, count)));
    let (rest, half, attentions) = half.ok_or_else(unknown)?;
    if rest == "final_layer_norm" {
        return Ok(Some(format!("{half}.output_norm.weight")));
    }
    let layer = rest.strip_prefix("block.").and_then(|rest| rest.split_once('.'));
    let (number, part) = layer.ok_or_else(unknown)?;
    let number: u32 = number.parse().map_err(|_| unknown())?;
    let ours = of_relative_layer(part, attentions).ok_or_else(unknown)?;
    Ok(Some(format!("{half}.blk.{number}.{ours}.weight")))
}

/// The name of a weight in GGUF; none for what the builders work out themselves.
pub(super) fn translate(name: &str, family: &Family) -> Result<Option<String>, ModelError> {
    if name.ends_with("rotary_emb.inv_freq") {
        return Ok(None);
    }
    if let Some(form) = family.form {
        return form.translate(name);
    }
    let unknown = || ModelError::Unused { name: name.chars().take(200).collect() };
    if [ENCODER, WHOLE].contains(&family.ours) {
        return of_relative(name, family.ours == WHOLE);
    }
    let plain = name.strip_prefix("model.").unwrap_or(name);
    if let Some(layer) = plain.strip_suffix(".mlp.gate.e_score_correction_bias") {
        let number = layer.strip_prefix("layers.").and_then(|number| number.parse::<u32>().ok());
        return Ok(Some(format!("blk.{}.exp_probs_b.bias", number.ok_or_else(unknown)?)));
    }
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
    let known = || LAYER.iter().find(|(theirs, _)| *theirs == part);
    let ours = match part {
        "post_attention_layernorm" => after_attention.to_owned(),
        _ => known()
            .map(|(_, ours)| (*ours).to_owned())
            .or_else(|| of_expert(part))
            .ok_or_else(unknown)?,
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
        let expert = "model.layers.2.block_sparse_moe.experts.13.w2.weight";
        assert_eq!(ours(expert), some("blk.2.ffn_down.13.weight"));
        assert_eq!(
            ours("model.layers.2.mlp.experts.0.up_proj.weight"),
            some("blk.2.ffn_up.0.weight")
        );
        let bias = "model.layers.4.mlp.gate.e_score_correction_bias";
        assert_eq!(ours(bias), some("blk.4.exp_probs_b.bias"));
        for name in [
            "model.layers.x.mlp.up_proj.weight",
            "model.layers.1.mlp.experts.x.up_proj.weight",
            "model.layers.1.mlp.experts.1.w4.weight",
            "model.layers.x.mlp.gate.e_score_correction_bias",
            "vision.weight",
            "norm",
            "model.norm.scale",
        ] {
            assert!(translate(name, llama).is_err(), "{name}");
        }
    }

    #[test]
    fn names_of_both_halves_are_translated_where_both_are_there() {
        let of = |ours: &str| FAMILIES.iter().find(|family| family.ours == ours).unwrap();
        let (whole, encoder) = (of("t5"), of("t5encoder"));
        let names = [
            ("shared.weight", "token_embd.weight"),
            ("encoder.block.3.layer.0.SelfAttention.q.weight", "enc.blk.3.attn_q.weight"),
            (
                "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                "enc.blk.0.attn_rel_b.weight",
            ),
            ("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", "enc.blk.0.ffn_gate.weight"),
            ("encoder.block.0.layer.1.layer_norm.weight", "enc.blk.0.ffn_norm.weight"),
            ("encoder.final_layer_norm.weight", "enc.output_norm.weight"),
        ];
        for (theirs, ours) in names {
            assert_eq!(translate(theirs, whole).unwrap().as_deref(), Some(ours));
            assert_eq!(translate(theirs, encoder).unwrap().as_deref(), Some(ours));
        }
        let names = [
            ("lm_head.weight", "output.weight"),
            ("decoder.final_layer_norm.weight", "dec.output_norm.weight"),
            ("decoder.block.2.layer.1.EncDecAttention.v.weight", "dec.blk.2.cross_attn_v.weight"),
            ("decoder.block.2.layer.1.layer_norm.weight", "dec.blk.2.cross_attn_norm.weight"),
            ("decoder.block.2.layer.2.DenseReluDense.wo.weight", "dec.blk.2.ffn_down.weight"),
            ("decoder.block.2.layer.2.layer_norm.weight", "dec.blk.2.ffn_norm.weight"),
        ];
        for (theirs, ours) in names {
            assert_eq!(translate(theirs, whole).unwrap().as_deref(), Some(ours));
            assert!(translate(theirs, encoder).is_err(), "{theirs}");
        }
        for name in [
            "encoder.block.0.layer.1.EncDecAttention.v.weight",
            "decoder.block.0.layer.0.EncDecAttention.v.weight",
            "decoder.block.0.layer.3.layer_norm.weight",
            "decoder.block.0.layer.2.SelfAttention.q.weight",
            "classification_head.weight",
        ] {
            assert!(translate(name, whole).is_err(), "{name}");
        }
    }
}
