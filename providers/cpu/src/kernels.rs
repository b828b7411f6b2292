//! The table of fast kernels, sorted by domain and name. An operator may stand in it more than once:
//! the first entry that takes the node wins.

use remuda_ir::{OpError, resolve_axis};
use remuda_kernels::NoMemory;
use remuda_kernels::gemm::Activation;

use crate::kernel::{Kernel, Preparation, Prepare};

mod attention;
mod bias_gelu;
mod cached_attention;
mod cast;
mod conv;
mod conv_bytes;
mod conv_transpose;
mod cross_attention;
mod elementwise;
mod embed_norm;
mod expert_linear;
mod extreme;
mod gather_rows;
mod gemm;
mod group_query;
mod halves;
mod int4;
mod int8;
mod layout;
mod linear;
mod matmul;
mod multi_head;
mod norm;
mod numbers;
mod pooling;
mod projected_attention;
mod quantize;
mod recurrent;
mod reduce;
mod remap;
mod resize;
mod rotary;
mod skip_norm;
mod softmax;
mod suppress;
mod top_k;

/// Every fast kernel.
#[rustfmt::skip]
static TABLE: &[(&str, &str, Prepare)] = &[
    ("", "Abs", elementwise::prepare_unary),
    ("", "Add", elementwise::prepare_binary),
    ("", "Add", numbers::prepare_arithmetic),
    ("", "And", numbers::prepare_logic),
    ("", "ArgMax", extreme::prepare),
    ("", "ArgMin", extreme::prepare),
    ("", "Attention", attention::prepare),
    ("", "AveragePool", pooling::prepare),
    ("", "BatchNormalization", norm::prepare_batch),
    ("", "Cast", cast::prepare),
    ("", "Ceil", elementwise::prepare_unary),
    ("", "Celu", elementwise::prepare_unary),
    ("", "Clip", elementwise::prepare_unary),
    ("", "Concat", layout::prepare_concat),
    ("", "Conv", conv::prepare),
    ("", "Conv", halves::prepare),
    ("", "ConvInteger", conv_bytes::prepare),
    ("", "ConvTranspose", conv_transpose::prepare),
    ("", "ConvTranspose", halves::prepare),
    ("", "Cos", elementwise::prepare_unary),
    ("", "DequantizeLinear", quantize::prepare),
    ("", "Div", elementwise::prepare_binary),
    ("", "DynamicQuantizeLinear", quantize::prepare_dynamic),
    ("", "Elu", elementwise::prepare_unary),
    ("", "Equal", numbers::prepare_compare),
    ("", "Equal", numbers::prepare_logic),
    ("", "Erf", elementwise::prepare_unary),
    ("", "Exp", elementwise::prepare_unary),
    ("", "Expand", layout::prepare_expand),
    ("", "Floor", elementwise::prepare_unary),
    ("", "GRU", recurrent::prepare),
    ("", "GRU", halves::prepare),
    ("", "Gather", gather_rows::prepare),
    ("", "Gather", layout::prepare_gather),
    ("", "Gelu", elementwise::prepare_unary),
    ("", "Gemm", gemm::prepare),
    ("", "Gemm", halves::prepare),
    ("", "GlobalAveragePool", pooling::prepare_global),
    ("", "GlobalMaxPool", pooling::prepare_global),
    ("", "Greater", numbers::prepare_compare),
    ("", "GreaterOrEqual", numbers::prepare_compare),
    ("", "GroupNormalization", norm::prepare_groups),
    ("", "HardSigmoid", elementwise::prepare_unary),
    ("", "HardSwish", elementwise::prepare_unary),
    ("", "InstanceNormalization", norm::prepare_groups),
    ("", "LSTM", recurrent::prepare),
    ("", "LSTM", halves::prepare),
    ("", "LayerNormalization", norm::prepare_rows),
    ("", "LeakyRelu", elementwise::prepare_unary),
    ("", "Less", numbers::prepare_compare),
    ("", "LessOrEqual", numbers::prepare_compare),
    ("", "Log", elementwise::prepare_unary),
    ("", "LogSoftmax", softmax::prepare),
    ("", "MatMul", matmul::prepare),
    ("", "MatMul", halves::prepare),
    ("", "MatMulInteger", int8::prepare),
    ("", "Max", elementwise::prepare_binary),
    ("", "MaxPool", pooling::prepare),
    ("", "Min", elementwise::prepare_binary),
    ("", "Mish", elementwise::prepare_unary),
    ("", "Mul", elementwise::prepare_binary),
    ("", "Mul", numbers::prepare_arithmetic),
    ("", "Neg", elementwise::prepare_unary),
    ("", "NonMaxSuppression", suppress::prepare),
    ("", "Not", numbers::prepare_not),
    ("", "Or", numbers::prepare_logic),
    ("", "PRelu", elementwise::prepare_binary),
    ("", "Pad", remap::prepare_pad),
    ("", "Pow", elementwise::prepare_binary),
    ("", "QLinearConv", conv_bytes::prepare),
    ("", "QLinearMatMul", int8::prepare),
    ("", "QuantizeLinear", quantize::prepare),
    ("", "RMSNormalization", norm::prepare_rows),
    ("", "RNN", recurrent::prepare),
    ("", "RNN", halves::prepare),
    ("", "Reciprocal", elementwise::prepare_unary),
    ("", "ReduceL1", reduce::prepare),
    ("", "ReduceL2", reduce::prepare),
    ("", "ReduceLogSum", reduce::prepare),
    ("", "ReduceLogSumExp", reduce::prepare),
    ("", "ReduceMax", reduce::prepare),
    ("", "ReduceMean", reduce::prepare),
    ("", "ReduceMin", reduce::prepare),
    ("", "ReduceProd", reduce::prepare),
    ("", "ReduceSum", reduce::prepare),
    ("", "ReduceSumSquare", reduce::prepare),
    ("", "Relu", elementwise::prepare_unary),
    ("", "Resize", resize::prepare),
    ("", "Resize", halves::prepare),
    ("", "RotaryEmbedding", rotary::prepare),
    ("", "Round", elementwise::prepare_unary),
    ("", "Selu", elementwise::prepare_unary),
    ("", "Sigmoid", elementwise::prepare_unary),
    ("", "Sign", elementwise::prepare_unary),
    ("", "SimplifiedLayerNormalization", norm::prepare_rows),
    ("", "Sin", elementwise::prepare_unary),
    ("", "Slice", remap::prepare_slice),
    ("", "Softmax", softmax::prepare),
    ("", "Softplus", elementwise::prepare_unary),
    ("", "Softsign", elementwise::prepare_unary),
    ("", "Split", layout::prepare_split),
    ("", "Sqrt", elementwise::prepare_unary),
    ("", "Sub", elementwise::prepare_binary),
    ("", "Sub", numbers::prepare_arithmetic),
    ("", "Swish", elementwise::prepare_unary),
    ("", "Tanh", elementwise::prepare_unary),
    ("", "ThresholdedRelu", elementwise::prepare_unary),
    ("", "Tile", remap::prepare_tile),
    ("", "TopK", top_k::prepare),
    ("", "Transpose", layout::prepare_transpose),
    ("", "Where", numbers::prepare_where),
    ("", "Xor", numbers::prepare_logic),
    ("com.microsoft", "Attention", projected_attention::prepare),
    ("com.microsoft", "BiasGelu", bias_gelu::prepare),
    ("com.microsoft", "DynamicQuantizeMatMul", int8::prepare),
    ("com.microsoft", "EmbedLayerNormalization", embed_norm::prepare),
    ("com.microsoft", "FastGelu", elementwise::prepare_unary),
    ("com.microsoft", "FastGelu", bias_gelu::prepare),
    ("com.microsoft", "FusedMatMul", matmul::prepare),
    ("com.microsoft", "FusedMatMul", halves::prepare),
    ("com.microsoft", "Gelu", elementwise::prepare_unary),
    ("com.microsoft", "GroupQueryAttention", group_query::prepare),
    ("com.microsoft", "MatMulIntegerToFloat", int8::prepare),
    ("com.microsoft", "MatMulNBits", int4::prepare),
    ("com.microsoft", "MatMulNBits", halves::prepare),
    ("com.microsoft", "MultiHeadAttention", multi_head::prepare),
    ("com.microsoft", "QuickGelu", elementwise::prepare_unary),
    ("com.microsoft", "RotaryEmbedding", rotary::prepare_microsoft),
    ("com.microsoft", "SimplifiedLayerNormalization", norm::prepare_rows),
    ("com.microsoft", "SkipLayerNormalization", skip_norm::prepare),
    ("com.microsoft", "SkipSimplifiedLayerNormalization", skip_norm::prepare),
    ("remuda", "CachedAttention", cached_attention::prepare),
    ("remuda", "CrossAttention", cross_attention::prepare),
    ("remuda", "ExpertLinear", expert_linear::prepare),
    ("remuda", "FusedConv", conv::prepare),
    ("remuda", "FusedConv", halves::prepare),
    ("remuda", "FusedLinear", matmul::prepare),
    ("remuda", "FusedLinear", halves::prepare),
    ("remuda", "Linear", linear::prepare),
];

/// The fast kernel of a node, if there is one.
pub(crate) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let op = &preparation.node.op;
    let start =
        TABLE.partition_point(|(domain, name, _)| (*domain, *name) < (&*op.domain, &*op.name));
    TABLE[start..]
        .iter()
        .take_while(|(domain, name, _)| (*domain, *name) == (&*op.domain, &*op.name))
        .find_map(|(_, _, prepare)| prepare(preparation))
}

/// The operators that have a fast kernel for some types: domain and name.
pub fn fast_operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|&(domain, name, _)| (domain, name))
}

fn no_memory(error: NoMemory) -> OpError {
    OpError::Resource(error.to_string())
}

/// The activation that fused operators name, with its parameters.
fn activation(name: &str, params: &[f32]) -> Option<Activation> {
    let param = |at: usize, default: f32| params.get(at).copied().unwrap_or(default);
    Some(match name {
        "" => Activation::None,
        "Relu" => Activation::Relu,
        "Clip" => Activation::Clip { low: param(0, f32::MIN), high: param(1, f32::MAX) },
        "LeakyRelu" => Activation::LeakyRelu { alpha: param(0, 0.01) },
        "HardSigmoid" => Activation::HardSigmoid { alpha: param(0, 0.2), beta: param(1, 0.5) },
        "HardSwish" => Activation::HardSwish,
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "Swish" => Activation::Swish { alpha: param(0, 1.0) },
        "Gelu" => Activation::Gelu,
        "GeluTanh" => Activation::GeluTanh,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn the_table_is_sorted_and_names_known_operators() {
        assert!(TABLE.is_sorted_by_key(|(domain, name, _)| (*domain, *name)));
        for (domain, name, _) in TABLE {
            assert!(remuda_ops::find(domain, name).is_some(), "`{name}` is no operator");
        }
    }
}
