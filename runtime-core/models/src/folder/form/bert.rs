//! BERT as an encoder: what gives labels, or the words behind masks, is left out.

use super::Means::{Needed, Nothing, Number, Only};
use super::{Fixed, Form, Head, NO};

pub(in crate::folder) static FORM: Form = Form {
    settings: &[
        ("hidden_size", Needed("embedding_length")),
        ("intermediate_size", Needed("feed_forward_length")),
        ("max_position_embeddings", Needed("context_length")),
        ("num_attention_heads", Needed("attention.head_count")),
        ("num_hidden_layers", Needed("block_count")),
        ("layer_norm_eps", Number("attention.layer_norm_epsilon")),
        ("hidden_act", Only(&[Fixed::Text("gelu")])),
        ("position_embedding_type", Only(&[Fixed::Text("absolute")])),
        ("is_decoder", Only(NO)),
        // A single text is all of the first kind.
        ("type_vocab_size", Nothing),
        ("attention_probs_dropout_prob", Nothing),
        ("hidden_dropout_prob", Nothing),
        ("directionality", Nothing),
        ("pooler_fc_size", Nothing),
        ("pooler_num_attention_heads", Nothing),
        ("pooler_num_fc_layers", Nothing),
        ("pooler_size_per_head", Nothing),
        ("pooler_type", Nothing),
    ],
    more: |_, _| Ok(()),
    prefix: "bert.",
    whole: &[
        ("embeddings.word_embeddings", "token_embd"),
        ("embeddings.position_embeddings", "position_embd"),
        ("embeddings.token_type_embeddings", "token_types"),
        ("embeddings.LayerNorm", "token_embd_norm"),
    ],
    layers: "encoder.layer.",
    layer: &[
        ("attention.self.query", "attn_q"),
        ("attention.self.key", "attn_k"),
        ("attention.self.value", "attn_v"),
        ("attention.output.dense", "attn_output"),
        ("attention.output.LayerNorm", "attn_output_norm"),
        ("intermediate.dense", "ffn_up"),
        ("output.dense", "ffn_down"),
        ("output.LayerNorm", "layer_output_norm"),
    ],
    left_out: |name| {
        name == "embeddings.position_ids" || name.starts_with("pooler.") || name.starts_with("cls.")
    },
    transposed: false,
    head: Head::None,
};
