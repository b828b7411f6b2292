//! GPT-NeoX and Pythia: a part of each head is turned; a head's query, key and value lie together.

use remuda_gguf::{Builder, Value};

use super::Means::{Flag, Needed, Nothing, Number, Only, Read};
use super::{Fixed, Form, Head};
use crate::ModelError;
use crate::folder::config::{Config, whole};

/// The part of each head that is turned, where the configuration says none.
const TURNED: f64 = 0.25;

pub(in crate::folder) static FORM: Form = Form {
    settings: &[
        ("hidden_size", Needed("embedding_length")),
        ("intermediate_size", Needed("feed_forward_length")),
        ("max_position_embeddings", Needed("context_length")),
        ("num_attention_heads", Needed("attention.head_count")),
        ("num_hidden_layers", Needed("block_count")),
        ("layer_norm_eps", Number("attention.layer_norm_epsilon")),
        ("rotary_emb_base", Number("rope.freq_base")),
        ("use_parallel_residual", Flag("use_parallel_residual")),
        ("rotary_pct", Read),
        ("partial_rotary_factor", Read),
        ("rope_theta", Read),
        ("rope_scaling", Read),
        ("hidden_act", Only(&[Fixed::Text("gelu")])),
        // The weights tell.
        ("attention_bias", Nothing),
        ("attention_dropout", Nothing),
        ("hidden_dropout", Nothing),
    ],
    more,
    prefix: "gpt_neox.",
    whole: &[
        ("embed_in", "token_embd"),
        ("final_layer_norm", "output_norm"),
        ("embed_out", "output"),
    ],
    layers: "layers.",
    layer: &[
        ("input_layernorm", "attn_norm"),
        ("attention.query_key_value", "attn_qkv_groups"),
        ("attention.dense", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.dense_h_to_4h", "ffn_up"),
        ("mlp.dense_4h_to_h", "ffn_down"),
    ],
    // The mask that hides later tokens.
    left_out: |name| name.ends_with(".attention.bias") || name.ends_with(".attention.masked_bias"),
    transposed: false,
    head: Head::Output { tied: false },
};

fn more(config: &Config, builder: &mut Builder) -> Result<(), ModelError> {
    // Newer configurations say both settings once more, by the names that they have elsewhere.
    let again = [("partial_rotary_factor", "rotary_pct"), ("rope_theta", "rotary_emb_base")];
    for (copy, own) in again {
        if let (Some(got), Some(expected)) = (config.float(copy)?, config.float(own)?)
            && got != expected
        {
            return Err(config.wrong(copy, &format!("{expected} as `{own}` says")));
        }
    }
    let share = match config.float("rotary_pct")? {
        Some(share) => share,
        None => config.float("partial_rotary_factor")?.unwrap_or(TURNED),
    };
    let turned = whole(config.head()? * share);
    if turned == 0 {
        return Err(config.unsupported("rotary_pct", "a part of each head".to_owned()));
    }
    builder.set(&config.ours("rope.dimension_count"), Value::U32(turned))?;
    if let (Some(base), None) = (config.float("rope_theta")?, config.float("rotary_emb_base")?) {
        builder.set(&config.ours("rope.freq_base"), Value::F64(base))?;
    }
    config.stretched_evenly(builder)
}
