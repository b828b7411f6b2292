//! The table of operators. Both lists are sorted: modules by name, definitions by domain and name.

use remuda_ir::{LegacyOp, OpDef};

mod abs;
mod acos;
mod acosh;
mod adagrad;
mod adam;
mod add;
mod affine_grid;
mod and;
mod arg_max;
mod arg_min;
mod array_feature_extractor;
mod asin;
mod asinh;
mod atan;
mod atanh;
mod attention;
mod average_pool;
mod batch_normalization;
mod bernoulli;
mod bias_add;
mod bias_gelu;
mod bias_split_gelu;
mod binarizer;
mod bit_cast;
mod bit_shift;
mod bitwise_and;
mod bitwise_not;
mod bitwise_or;
mod bitwise_xor;
mod blackman_window;
mod cached_attention;
mod cast;
mod cast_like;
mod category_mapper;
mod causal_conv_with_state;
mod cdist;
mod ceil;
mod celu;
mod center_crop_pad;
mod clip;
mod col2_im;
mod compress;
mod concat;
mod concat_from_sequence;
mod constant;
mod constant_of_shape;
mod conv;
mod conv_integer;
mod conv_transpose;
mod cos;
mod cosh;
mod cross_attention;
mod cum_prod;
mod cum_sum;
mod deform_conv;
mod depth_to_space;
mod dequantize_linear;
mod det;
mod dft;
mod div;
mod dropout;
mod dynamic_quantize_linear;
mod dynamic_quantize_lstm;
mod dynamic_quantize_mat_mul;
mod einsum;
mod elu;
mod embed_layer_normalization;
mod equal;
mod erf;
mod exp;
mod expand;
mod expert_linear;
mod eye_like;
mod fast_gelu;
mod feature_vectorizer;
mod flatten;
mod flex_attention;
mod floor;
mod fused_conv;
mod fused_gemm;
mod fused_linear;
mod fused_mat_mul;
mod gather;
mod gather_block_quantized;
mod gather_elements;
mod gather_nd;
mod gelu;
mod gemm;
mod global_average_pool;
mod global_lp_pool;
mod global_max_pool;
mod greater;
mod greater_or_equal;
mod grid_sample;
mod group_normalization;
mod group_query_attention;
mod gru;
mod hamming_window;
mod hann_window;
mod hard_sigmoid;
mod hard_swish;
mod hardmax;
mod identity;
mod r#if;
mod imputer;
mod instance_normalization;
mod inverse;
mod is_inf;
mod is_nan;
mod label_encoder;
mod layer_normalization;
mod leaky_relu;
mod less;
mod less_or_equal;
mod linear;
mod linear_attention;
mod linear_classifier;
mod linear_regressor;
mod log;
mod log_softmax;
mod r#loop;
mod lp_normalization;
mod lp_pool;
mod lrn;
mod lstm;
mod mat_mul;
mod mat_mul_bnb4;
mod mat_mul_integer;
mod mat_mul_integer_to_float;
mod mat_mul_n_bits;
mod max;
mod max_pool;
mod max_roi_pool;
mod max_unpool;
mod mean;
mod mean_variance_normalization;
mod mel_weight_matrix;
mod microsoft_attention;
mod microsoft_dequantize_linear;
mod microsoft_expand_dims;
mod microsoft_fused_conv;
mod microsoft_gather_nd;
mod microsoft_gelu;
mod microsoft_grid_sample;
mod microsoft_pad;
mod microsoft_qlinear_conv;
mod microsoft_quantize_linear;
mod microsoft_range;
mod microsoft_rotary_embedding;
mod microsoft_simplified_layer_normalization;
mod microsoft_trilu;
mod microsoft_unique;
mod min;
mod mish;
mod modulo;
mod moe;
mod momentum;
mod mul;
mod multi_head_attention;
mod multinomial;
mod neg;
mod negative_log_likelihood_loss;
mod ngram_repeat_block;
mod nhwc_max_pool;
mod non_max_suppression;
mod non_zero;
mod normalizer;
mod not;
mod one_hot;
mod one_hot_encoder;
mod optional;
mod optional_get_element;
mod optional_has_element;
mod or;
mod pad;
mod pow;
mod prelu;
mod qattention;
mod qembed_layer_normalization;
mod qgemm;
mod qlinear_add;
mod qlinear_average_pool;
mod qlinear_concat;
mod qlinear_conv;
mod qlinear_global_average_pool;
mod qlinear_leaky_relu;
mod qlinear_mat_mul;
mod qlinear_mul;
mod qlinear_sigmoid;
mod qlinear_softmax;
mod qlinear_where;
mod qmoe;
mod quantize_linear;
mod quick_gelu;
mod random_normal;
mod random_normal_like;
mod random_uniform;
mod random_uniform_like;
mod range;
mod reciprocal;
mod reduce_l1;
mod reduce_l2;
mod reduce_log_sum;
mod reduce_log_sum_exp;
mod reduce_max;
mod reduce_mean;
mod reduce_min;
mod reduce_prod;
mod reduce_sum;
mod reduce_sum_square;
mod regex_full_match;
mod relu;
mod reshape;
mod resize;
mod reverse_sequence;
mod rms_normalization;
mod rnn;
mod roi_align;
mod rotary_embedding;
mod round;
mod scaler;
mod scan;
mod scatter;
mod scatter_elements;
mod scatter_nd;
mod selu;
mod sequence_at;
mod sequence_construct;
mod sequence_empty;
mod sequence_erase;
mod sequence_insert;
mod sequence_length;
mod sequence_map;
mod shape;
mod shrink;
mod sigmoid;
mod sign;
mod simplified_layer_normalization;
mod sin;
mod sinh;
mod size;
mod skip_layer_normalization;
mod skip_simplified_layer_normalization;
mod slice;
mod softmax;
mod softmax_cross_entropy_loss;
mod softplus;
mod softsign;
mod space_to_depth;
mod split;
mod split_to_sequence;
mod sqrt;
mod squeeze;
mod stft;
mod string_concat;
mod string_normalizer;
mod string_split;
mod sub;
mod sum;
mod svm_classifier;
mod svm_regressor;
mod swiglu;
mod swish;
mod tan;
mod tanh;
mod tensor_scatter;
mod tf_idf_vectorizer;
mod thresholded_relu;
mod tile;
mod top_k;
mod transpose;
mod transpose_mat_mul;
mod tree_ensemble;
mod tree_ensemble_classifier;
mod tree_ensemble_regressor;
mod trilu;
mod unfold_tensor;
mod unique;
mod unsqueeze;
mod upsample;
mod r#where;
mod xor;

pub use resize::{ResizeInputs, ResizeTaps, resize_taps};

/// Every definition, by domain and name.
#[rustfmt::skip]
pub static TABLE: &[&OpDef] = &[
    &abs::OP,
    &acos::OP,
    &acosh::OP,
    &add::OP,
    &affine_grid::OP,
    &and::OP,
    &arg_max::OP,
    &arg_min::OP,
    &asin::OP,
    &asinh::OP,
    &atan::OP,
    &atanh::OP,
    &attention::OP,
    &average_pool::OP,
    &batch_normalization::OP,
    &bernoulli::OP,
    &bit_cast::OP,
    &bit_shift::OP,
    &bitwise_and::OP,
    &bitwise_not::OP,
    &bitwise_or::OP,
    &bitwise_xor::OP,
    &blackman_window::OP,
    &cast::OP,
    &cast_like::OP,
    &causal_conv_with_state::OP,
    &ceil::OP,
    &celu::OP,
    &center_crop_pad::OP,
    &clip::OP,
    &col2_im::OP,
    &compress::OP,
    &concat::OP,
    &concat_from_sequence::OP,
    &constant::OP,
    &constant_of_shape::OP,
    &conv::OP,
    &conv_integer::OP,
    &conv_transpose::OP,
    &cos::OP,
    &cosh::OP,
    &cum_prod::OP,
    &cum_sum::OP,
    &dft::OP,
    &deform_conv::OP,
    &depth_to_space::OP,
    &dequantize_linear::OP,
    &det::OP,
    &div::OP,
    &dropout::OP,
    &dynamic_quantize_linear::OP,
    &einsum::OP,
    &elu::OP,
    &equal::OP,
    &erf::OP,
    &exp::OP,
    &expand::OP,
    &eye_like::OP,
    &flatten::OP,
    &floor::OP,
    &gru::OP,
    &gather::OP,
    &gather_elements::OP,
    &gather_nd::OP,
    &gelu::OP,
    &gemm::OP,
    &global_average_pool::OP,
    &global_lp_pool::OP,
    &global_max_pool::OP,
    &greater::OP,
    &greater_or_equal::OP,
    &grid_sample::OP,
    &group_normalization::OP,
    &hamming_window::OP,
    &hann_window::OP,
    &hard_sigmoid::OP,
    &hard_swish::OP,
    &hardmax::OP,
    &identity::OP,
    &r#if::OP,
    &instance_normalization::OP,
    &is_inf::OP,
    &is_nan::OP,
    &lrn::OP,
    &lstm::OP,
    &layer_normalization::OP,
    &leaky_relu::OP,
    &less::OP,
    &less_or_equal::OP,
    &linear_attention::OP,
    &log::OP,
    &log_softmax::OP,
    &r#loop::OP,
    &lp_normalization::OP,
    &lp_pool::OP,
    &mat_mul::OP,
    &mat_mul_integer::OP,
    &max::OP,
    &max_pool::OP,
    &max_roi_pool::OP,
    &max_unpool::OP,
    &mean::OP,
    &mean_variance_normalization::OP,
    &mel_weight_matrix::OP,
    &min::OP,
    &mish::OP,
    &modulo::OP,
    &mul::OP,
    &multinomial::OP,
    &neg::OP,
    &negative_log_likelihood_loss::OP,
    &non_max_suppression::OP,
    &non_zero::OP,
    &not::OP,
    &one_hot::OP,
    &optional::OP,
    &optional_get_element::OP,
    &optional_has_element::OP,
    &or::OP,
    &prelu::OP,
    &pad::OP,
    &pow::OP,
    &qlinear_conv::OP,
    &qlinear_mat_mul::OP,
    &quantize_linear::OP,
    &rms_normalization::OP,
    &rnn::OP,
    &random_normal::OP,
    &random_normal_like::OP,
    &random_uniform::OP,
    &random_uniform_like::OP,
    &range::OP,
    &reciprocal::OP,
    &reduce_l1::OP,
    &reduce_l2::OP,
    &reduce_log_sum::OP,
    &reduce_log_sum_exp::OP,
    &reduce_max::OP,
    &reduce_mean::OP,
    &reduce_min::OP,
    &reduce_prod::OP,
    &reduce_sum::OP,
    &reduce_sum_square::OP,
    &regex_full_match::OP,
    &relu::OP,
    &reshape::OP,
    &resize::OP,
    &reverse_sequence::OP,
    &roi_align::OP,
    &rotary_embedding::OP,
    &round::OP,
    &stft::OP,
    &scan::OP,
    &scatter_elements::OP,
    &scatter_nd::OP,
    &selu::OP,
    &sequence_at::OP,
    &sequence_construct::OP,
    &sequence_empty::OP,
    &sequence_erase::OP,
    &sequence_insert::OP,
    &sequence_length::OP,
    &sequence_map::OP,
    &shape::OP,
    &shrink::OP,
    &sigmoid::OP,
    &sign::OP,
    &simplified_layer_normalization::OP,
    &sin::OP,
    &sinh::OP,
    &size::OP,
    &slice::OP,
    &softmax::OP,
    &softmax_cross_entropy_loss::OP,
    &softplus::OP,
    &softsign::OP,
    &space_to_depth::OP,
    &split::OP,
    &split_to_sequence::OP,
    &sqrt::OP,
    &squeeze::OP,
    &string_concat::OP,
    &string_normalizer::OP,
    &string_split::OP,
    &sub::OP,
    &sum::OP,
    &swiglu::OP,
    &swish::OP,
    &tan::OP,
    &tanh::OP,
    &tensor_scatter::OP,
    &tf_idf_vectorizer::OP,
    &thresholded_relu::OP,
    &tile::OP,
    &top_k::OP,
    &transpose::OP,
    &trilu::OP,
    &unique::OP,
    &unsqueeze::OP,
    &r#where::OP,
    &xor::OP,
    &array_feature_extractor::OP,
    &binarizer::OP,
    &category_mapper::OP,
    &feature_vectorizer::OP,
    &imputer::OP,
    &label_encoder::OP,
    &linear_classifier::OP,
    &linear_regressor::OP,
    &normalizer::OP,
    &one_hot_encoder::OP,
    &svm_classifier::OP,
    &svm_regressor::OP,
    &scaler::OP,
    &tree_ensemble::OP,
    &tree_ensemble_classifier::OP,
    &tree_ensemble_regressor::OP,
    &flex_attention::OP,
    &adagrad::OP,
    &adam::OP,
    &momentum::OP,
    &microsoft_attention::OP,
    &bias_add::OP,
    &bias_gelu::OP,
    &bias_split_gelu::OP,
    &cdist::OP,
    &dynamic_quantize_lstm::OP,
    &dynamic_quantize_mat_mul::OP,
    &embed_layer_normalization::OP,
    &fast_gelu::OP,
    &fused_gemm::OP,
    &fused_mat_mul::OP,
    &gather_block_quantized::OP,
    &microsoft_gelu::OP,
    &group_query_attention::OP,
    &inverse::OP,
    &mat_mul_bnb4::OP,
    &mat_mul_integer_to_float::OP,
    &mat_mul_n_bits::OP,
    &moe::OP,
    &multi_head_attention::OP,
    &ngram_repeat_block::OP,
    &nhwc_max_pool::OP,
    &qattention::OP,
    &qembed_layer_normalization::OP,
    &qgemm::OP,
    &qlinear_add::OP,
    &qlinear_average_pool::OP,
    &qlinear_concat::OP,
    &qlinear_global_average_pool::OP,
    &qlinear_leaky_relu::OP,
    &qlinear_mul::OP,
    &qlinear_sigmoid::OP,
    &qlinear_softmax::OP,
    &qlinear_where::OP,
    &qmoe::OP,
    &quick_gelu::OP,
    &microsoft_rotary_embedding::OP,
    &microsoft_simplified_layer_normalization::OP,
    &skip_layer_normalization::OP,
    &skip_simplified_layer_normalization::OP,
    &unfold_tensor::OP,
    &cached_attention::OP,
    &cross_attention::OP,
    &expert_linear::OP,
    &fused_conv::OP,
    &fused_linear::OP,
    &linear::OP,
];

/// Operators that newer opsets no longer have.
#[rustfmt::skip]
pub static LEGACY: &[&LegacyOp] = &[
    &scatter::OP,
    &upsample::OP,
    &microsoft_dequantize_linear::OP,
    &microsoft_expand_dims::OP,
    &microsoft_fused_conv::OP,
    &microsoft_gather_nd::OP,
    &microsoft_grid_sample::OP,
    &microsoft_pad::OP,
    &microsoft_qlinear_conv::OP,
    &microsoft_quantize_linear::OP,
    &microsoft_range::OP,
    &transpose_mat_mul::OP,
    &microsoft_trilu::OP,
    &microsoft_unique::OP,
];
