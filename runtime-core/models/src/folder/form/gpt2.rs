//! GPT-2: matrices of layers have a row for each input, and the output matrix is that of the embeddings.

use super::Means::{Needed, Nothing, Number, Only, Size};
use super::{Fixed, Form, Head, NO, YES};

/// GELU by its tanh form, under the names that it goes by.
const ACTIVATIONS: &[Fixed] =
    &[Fixed::Text("gelu_new"), Fixed::Text("gelu_pytorch_tanh"), Fixed::Text("gelu_fast")];

pub(in crate::folder) static FORM: Form = Form {
    settings: &[
        ("n_embd", Needed("embedding_length")),
        ("n_head", Needed("attention.head_count")),
        ("n_inner", Size("feed_forward_length")),
        ("n_layer", Needed("block_count")),
        ("n_positions", Needed("context_length")),
        ("layer_norm_epsilon", Number("attention.layer_norm_epsilon")),
        ("activation_function", Only(ACTIVATIONS)),
        ("scale_attn_weights", Only(YES)),
        ("scale_attn_by_inverse_layer_idx", Only(NO)),
        // Rounding alone.
        ("reorder_and_upcast_attn", Nothing),
        // What `n_positions` says, once more.
        ("n_ctx", Nothing),
        ("attn_pdrop", Nothing),
        ("embd_pdrop", Nothing),
        ("resid_pdrop", Nothing),
        ("summary_activation", Nothing),
        ("summary_first_dropout", Nothing),
        ("summary_proj_to_labels", Nothing),
        ("summary_type", Nothing),
        ("summary_use_proj", Nothing),
    ],
    more: |_, _| Ok(()),
    prefix: "transformer.",
    whole: &[
        ("wte", "token_embd"),
        ("wpe", "position_embd"),
        ("ln_f", "output_norm"),
        ("lm_head", "output"),
    ],
    layers: "h.",
    layer: &[
        ("ln_1", "attn_norm"),
        ("attn.c_attn", "attn_qkv"),
        ("attn.c_proj", "attn_output"),
        ("ln_2", "ffn_norm"),
        ("mlp.c_fc", "ffn_up"),
        ("mlp.c_proj", "ffn_down"),
    ],
    // The mask that hides later tokens.
    left_out: |name| name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"),
    transposed: true,
    head: Head::Output { tied: true },
};
