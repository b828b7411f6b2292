//! The list of rules, sorted by name.

use crate::Rule;

mod drop_identity;
mod drop_repeated_transpose;
mod fold_constants;
mod fold_merged_transpose;
mod fold_reshape;
mod fold_shapes;
mod fuse_attention;
mod fuse_attention_heads;
mod fuse_conv_activation;
mod fuse_conv_batch_norm;
mod fuse_conv_residual;
mod fuse_gelu;
mod fuse_layer_norm;
mod fuse_linear_activation;
mod fuse_linear_bias;
mod fuse_qdq_conv;
mod fuse_qdq_mat_mul;
mod fuse_rms_norm;
mod fuse_rotary;
mod fuse_swish;

/// Every rule.
#[rustfmt::skip]
pub static RULES: &[&Rule] = &[
    &drop_identity::RULE,
    &drop_repeated_transpose::RULE,
    &fold_constants::RULE,
    &fold_merged_transpose::RULE,
    &fold_reshape::RULE,
    &fold_shapes::RULE,
    &fuse_attention::RULE,
    &fuse_attention_heads::RULE,
    &fuse_conv_activation::RULE,
    &fuse_conv_batch_norm::RULE,
    &fuse_conv_residual::RULE,
    &fuse_gelu::RULE,
    &fuse_layer_norm::RULE,
    &fuse_linear_activation::RULE,
    &fuse_linear_bias::RULE,
    &fuse_qdq_conv::RULE,
    &fuse_qdq_mat_mul::RULE,
    &fuse_rms_norm::RULE,
    &fuse_rotary::RULE,
    &fuse_swish::RULE,
];
