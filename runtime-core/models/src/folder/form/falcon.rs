//! Falcon: attention and feed-forward side by side; heads that share a key and a value lie together
//! with them.

use remuda_gguf::{Builder, Value};

use super::Means::{Needed, Nothing, Number, Only, Read, Size};
use super::{Fixed, Form, Head, NO, YES};
use crate::ModelError;
use crate::folder::config::Config;

/// Positions, where the configuration does not say it.
const CONTEXT: u32 = 2048;

pub(in crate::folder) static FORM: Form = Form {
    settings: &[
        ("hidden_size", Needed("embedding_length")),
        ("num_attention_heads", Needed("attention.head_count")),
        ("num_hidden_layers", Needed("block_count")),
        ("ffn_hidden_size", Size("feed_forward_length")),
        ("layer_norm_epsilon", Number("attention.layer_norm_epsilon")),
        ("rope_theta", Number("rope.freq_base")),
        ("max_position_embeddings", Read),
        ("multi_query", Read),
        ("new_decoder_architecture", Read),
        ("num_kv_heads", Read),
        ("num_ln_in_parallel_attn", Read),
        ("rope_scaling", Read),
        ("activation", Only(&[Fixed::Text("gelu")])),
        ("alibi", Only(NO)),
        ("apply_residual_connection_post_layernorm", Only(NO)),
        ("parallel_attn", Only(YES)),
        // The weights tell.
        ("bias", Nothing),
        ("attention_dropout", Nothing),
        ("hidden_dropout", Nothing),
    ],
    more,
    prefix: "transformer.",
    whole: &[("word_embeddings", "token_embd"), ("ln_f", "output_norm"), ("lm_head", "output")],
    layers: "h.",
    layer: &[
        ("input_layernorm", "attn_norm"),
        // Of two norms the first one in GGUF is that of the feed-forward part.
        ("ln_mlp", "attn_norm"),
        ("ln_attn", "attn_norm_2"),
        ("self_attention.query_key_value", "attn_qkv_groups"),
        ("self_attention.dense", "attn_output"),
        ("mlp.dense_h_to_4h", "ffn_up"),
        ("mlp.dense_4h_to_h", "ffn_down"),
    ],
    left_out: |_| false,
    transposed: false,
    head: Head::Output { tied: true },
};

fn more(config: &Config, builder: &mut Builder) -> Result<(), ModelError> {
    let context = config.size("max_position_embeddings")?.unwrap_or(CONTEXT);
    builder.set(&config.ours("context_length"), Value::U32(context))?;
    let newer = config.flag("new_decoder_architecture")?.unwrap_or(false);
    let norms = config.size("num_ln_in_parallel_attn")?;
    let most = if newer { 2 } else { 1 };
    if norms.is_some_and(|norms| !(1..=most).contains(&norms)) {
        let expected = format!("a number from 1 to {most} in this architecture");
        return Err(config.unsupported("num_ln_in_parallel_attn", expected));
    }
    let heads = config.size("num_attention_heads")?.unwrap_or(1);
    let said = config.size("num_kv_heads")?;
    let shared = if newer {
        said.unwrap_or(heads)
    } else if config.flag("multi_query")?.unwrap_or(true) {
        1
    } else if said.is_none_or(|said| said == heads) {
        heads
    } else {
        return Err(config.wrong("num_kv_heads", &format!("{heads} without `multi_query`")));
    };
    builder.set(&config.ours("attention.head_count_kv"), Value::U32(shared))?;
    config.stretched_evenly(builder)
}
