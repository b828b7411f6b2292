//! Nomic BERT: settings by the names of GPT-2, positions that turn, a gated feed-forward part.

use remuda_gguf::{Builder, Value};

use super::Means::{Must, Needed, Nothing, Number, Only, Read};
use super::{Fixed, Form, Head, NO, YES};
use crate::ModelError;
use crate::folder::config::Config;

/// What is added to variances, where the configuration does not say it.
const EPSILON: f64 = 1e-5;

/// Positions of training, where the configuration does not say it.
const TRAINED: u32 = 2048;

pub(in crate::folder) static FORM: Form = Form {
    settings: &[
        ("n_embd", Needed("embedding_length")),
        ("n_head", Needed("attention.head_count")),
        ("n_inner", Needed("feed_forward_length")),
        ("n_layer", Needed("block_count")),
        ("rotary_emb_base", Number("rope.freq_base")),
        ("layer_norm_epsilon", Read),
        ("max_trained_positions", Read),
        ("n_positions", Read),
        ("activation_function", Must(&[Fixed::Text("swiglu")])),
        ("rotary_emb_fraction", Must(&[Fixed::Number(1.0)])),
        ("causal", Only(NO)),
        ("parallel_block", Only(NO)),
        ("prenorm", Only(NO)),
        ("rotary_emb_interleaved", Only(NO)),
        ("scale_attn_by_inverse_layer_idx", Only(NO)),
        ("scale_attn_weights", Only(YES)),
        ("use_rms_norm", Only(NO)),
        // Stretches positions beyond those of training, which the context leaves out.
        ("rotary_scaling_factor", Nothing),
        // The weights tell.
        ("mlp_fc1_bias", Nothing),
        ("mlp_fc2_bias", Nothing),
        ("qkv_proj_bias", Nothing),
        // A single text is all of the first kind.
        ("type_vocab_size", Nothing),
        // Of layers side by side, which these are not.
        ("parallel_block_tied_norm", Nothing),
        // How it computes, not what.
        ("dense_seq_output", Nothing),
        ("fused_bias_fc", Nothing),
        ("fused_dropout_add_ln", Nothing),
        ("last_layer_subset", Nothing),
        ("pad_vocab_size_multiple", Nothing),
        ("reorder_and_upcast_attn", Nothing),
        ("use_flash_attn", Nothing),
        ("use_xentropy", Nothing),
        ("attn_pdrop", Nothing),
        ("embd_pdrop", Nothing),
        ("resid_pdrop", Nothing),
        ("summary_activation", Nothing),
        ("summary_first_dropout", Nothing),
        ("summary_proj_to_labels", Nothing),
        ("summary_type", Nothing),
        ("summary_use_proj", Nothing),
    ],
    more,
    prefix: "bert.",
    whole: &[
        ("embeddings.word_embeddings", "token_embd"),
        ("embeddings.token_type_embeddings", "token_types"),
        ("emb_ln", "token_embd_norm"),
    ],
    layers: "encoder.layers.",
    layer: &[
        ("attn.Wqkv", "attn_qkv"),
        ("attn.out_proj", "attn_output"),
        ("norm1", "attn_output_norm"),
        ("mlp.fc11", "ffn_up"),
        ("mlp.fc12", "ffn_gate"),
        ("mlp.fc2", "ffn_down"),
        ("norm2", "layer_output_norm"),
    ],
    left_out: |name| name.starts_with("pooler.") || name.starts_with("cls."),
    transposed: false,
    head: Head::None,
};

fn more(config: &Config, builder: &mut Builder) -> Result<(), ModelError> {
    let all = config.size("n_positions")?.ok_or_else(|| config.wrong("n_positions", "a size"))?;
    let trained = config.size("max_trained_positions")?.unwrap_or(TRAINED);
    let context = all.min(trained);
    builder.set(&config.ours("context_length"), Value::U32(context))?;
    let epsilon = config.float("layer_norm_epsilon")?.unwrap_or(EPSILON);
    Ok(builder.set(&config.ours("attention.layer_norm_epsilon"), Value::F64(epsilon))?)
}
