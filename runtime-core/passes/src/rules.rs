//! The list of rules, sorted by name.

use crate::Rule;

mod drop_identity;
mod fold_constants;
mod fold_reshape;
mod fuse_attention;
mod fuse_attention_heads;
mod fuse_conv_activation;
mod fuse_conv_batch_norm;
mod fuse_conv_residual;
mod fuse_gelu;
mod fuse_layer_norm;
mod fuse_linear_activation;
mod fuse_linear_bias;
mod fuse_rms_norm;
mod fuse_swish;

/// Every rule.
#[rustfmt::skip]
pub static RULES: &[&Rule] = &[
    &drop_identity::RULE,
    &fold_constants::RULE,
    &fold_reshape::RULE,
    &fuse_attention::RULE,
    &fuse_attention_heads::RULE,
    &fuse_conv_activation::RULE,
    &fuse_conv_batch_norm::RULE,
    &fuse_conv_residual::RULE,
    &fuse_gelu::RULE,
    &fuse_layer_norm::RULE,
    &fuse_linear_activation::RULE,
    &fuse_linear_bias::RULE,
    &fuse_rms_norm::RULE,
    &fuse_swish::RULE,
];
