//! DeepSeek 2 and 3: attention with a latent row, and experts of which one is every token's, behind a
//! few layers without.

use super::Architecture;
use crate::ModelError;
use crate::decoder::{Decoder, Gate, Latent};
use crate::keys::Keys;
use crate::rope::{Pairing, Scaling};

pub(super) static ARCHITECTURE: Architecture = Architecture {
    names: &["deepseek2"],
    adapt: |keys, decoder| {
        decoder.rope.pairing = Pairing::Neighbours;
        decoder.mixes = true;
        let latent = latent(keys, decoder)?;
        let head = latent.plain + decoder.rope.size;
        decoder.attention_scale = 1.0 / (head as f64).sqrt();
        decoder.latent = Some(latent);
        if let Scaling::Yarn { factor, .. } = decoder.rope.scaling {
            // Scores grow with the context, instead of what is turned.
            decoder.rope.attention_factor = keys.float_or("rope.scaling.attn_factor", 1.0)?;
            let growth = keys.float_or("rope.scaling.yarn_log_multiplier", 0.0)?;
            decoder.attention_scale *= (1.0 + growth * factor.ln()).powi(2);
        }
        experts(keys, decoder)
    },
};

fn latent(keys: &Keys<'_>, decoder: &Decoder) -> Result<Latent, ModelError> {
    // Files that say heads' own sizes beside those of the cache have the newer form.
    let own = keys.optional_size("attention.key_length_mla")?;
    let head = own.unwrap_or(decoder.key_dim);
    let value = keys.optional_size("attention.value_length_mla")?.unwrap_or(decoder.value_dim);
    let rank = keys.size("attention.kv_lora_rank")?;
    let turned = decoder.rope.size;
    let Some(plain) = head.checked_sub(turned).filter(|&plain| plain > 0) else {
        let expected = format!("a number below {head}");
        return Err(keys.bad("rope.dimension_count", expected, turned.to_string()));
    };
    let absorbed = own.is_some();
    let cached = if absorbed { [1, rank + turned, rank] } else { [decoder.heads, head, value] };
    let got = [decoder.kv_heads, decoder.key_dim, decoder.value_dim];
    let names = ["head_count_kv", "key_length", "value_length"];
    for ((name, cached), got) in names.into_iter().zip(cached).zip(got) {
        if cached != got {
            let key = format!("attention.{name}");
            return Err(keys.bad(&key, cached.to_string(), got.to_string()));
        }
    }
    let query_rank = keys.optional_size("attention.q_lora_rank")?;
    Ok(Latent { query_rank, rank, plain, value, absorbed })
}

fn experts(keys: &Keys<'_>, decoder: &mut Decoder) -> Result<(), ModelError> {
    let Some(mixture) = &mut decoder.experts else { return Ok(()) };
    mixture.dense_layers = keys.optional_size("leading_dense_block_count")?.unwrap_or(0);
    mixture.to_one = keys.flag("expert_weights_norm")?.unwrap_or(false);
    mixture.scale =
        keys.float("expert_weights_scale")?.filter(|&scale| scale != 0.0).unwrap_or(1.0);
    mixture.gate = match keys.optional_size("expert_gating_func")? {
        None | Some(1) => Gate::Softmax,
        Some(2) => Gate::Sigmoid,
        Some(other) => {
            let expected = "1 (softmax) or 2 (sigmoid)".to_owned();
            return Err(keys.unsupported("expert_gating_func", expected, other.to_string()));
        }
    };
    match keys.optional_size("expert_group_count")? {
        None | Some(1) => Ok(()),
        Some(groups) => {
            let expected = "experts that are chosen among all".to_owned();
            Err(keys.unsupported("expert_group_count", expected, format!("{groups} groups")))
        }
    }
}
