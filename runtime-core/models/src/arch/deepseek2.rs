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
    mixture.groups = groups(keys, [mixture.count, mixture.used])?;
    Ok(())
}

/// Experts in groups of equal size, of which each token has those of a few.
fn groups(keys: &Keys<'_>, [count, used]: [usize; 2]) -> Result<Option<[usize; 2]>, ModelError> {
    let Some(groups) = keys.optional_size("expert_group_count")?.filter(|&groups| groups > 1)
    else {
        return Ok(None);
    };
    // The two best of a group speak for it.
    if !count.is_multiple_of(groups) || count / groups < 2 {
        let expected = format!("a number that divides {count} into groups of 2 at least");
        return Err(keys.bad("expert_group_count", expected, groups.to_string()));
    }
    let of_groups = keys.size("expert_group_used_count")?;
    if of_groups > groups || of_groups * (count / groups) < used {
        let expected = format!("as many of {groups} groups as {used} experts are in");
        return Err(keys.bad("expert_group_used_count", expected, of_groups.to_string()));
    }
    Ok(Some([groups, of_groups]))
}
