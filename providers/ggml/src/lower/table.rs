//! Which function lowers which operator.

use remuda_sdk::ir::{Node, OpName};

use super::{
    Lowering, activations, attention, images, moves, norms, pointwise, products, rotary, sums,
};
use crate::api::Refusal;

type Lower = fn(&mut Lowering<'_>, &Node) -> Result<(), Refusal>;

/// An operator that is lowered.
pub(crate) struct Operator {
    pub(crate) domain: &'static str,
    pub(crate) name: &'static str,
    /// The outputs that are made.
    pub(crate) outputs: &'static [usize],
    pub(crate) lower: Lower,
}

const fn onnx(name: &'static str, lower: Lower) -> Operator {
    Operator { domain: "", name, outputs: &[0], lower }
}

const fn microsoft(name: &'static str, lower: Lower) -> Operator {
    Operator { domain: "com.microsoft", name, outputs: &[0], lower }
}

const fn own(name: &'static str, lower: Lower) -> Operator {
    Operator { domain: "remuda", name, outputs: &[0], lower }
}

/// More outputs than any node that is split has here.
const MANY: &[usize] = &{
    let mut all = [0; 64];
    let mut at = 0;
    while at < all.len() {
        all[at] = at;
        at += 1;
    }
    all
};

/// Every operator that is lowered.
pub(crate) static OPERATORS: &[Operator] = &[
    onnx("Abs", activations::unary),
    onnx("Add", pointwise::binary),
    onnx("AveragePool", images::average_pool),
    onnx("BatchNormalization", norms::batch),
    onnx("Cast", moves::cast),
    onnx("Ceil", activations::unary),
    onnx("Clip", activations::clip),
    onnx("Concat", moves::concat),
    onnx("Conv", images::conv),
    onnx("Cos", activations::unary),
    onnx("Div", pointwise::binary),
    onnx("Dropout", moves::same),
    onnx("Exp", activations::unary),
    onnx("Expand", moves::expand),
    onnx("Flatten", moves::reshape),
    onnx("Floor", activations::unary),
    onnx("Gather", moves::gather),
    onnx("Gelu", activations::gelu),
    onnx("Gemm", products::gemm),
    onnx("GlobalAveragePool", images::global_average_pool),
    onnx("GroupNormalization", norms::group),
    onnx("HardSwish", activations::unary),
    onnx("Identity", moves::same),
    onnx("InstanceNormalization", norms::instance),
    onnx("LayerNormalization", norms::layer),
    onnx("LeakyRelu", activations::leaky_relu),
    onnx("Log", activations::unary),
    onnx("MatMul", products::mat_mul),
    onnx("MaxPool", images::max_pool),
    onnx("Mish", activations::mish),
    onnx("Mul", pointwise::binary),
    onnx("Neg", activations::unary),
    onnx("Pad", moves::pad),
    onnx("Pow", pointwise::pow),
    onnx("RMSNormalization", norms::rms),
    onnx("ReduceL2", sums::l2),
    onnx("ReduceMean", sums::mean),
    onnx("ReduceSum", sums::sum),
    onnx("ReduceSumSquare", sums::sum_square),
    onnx("Relu", activations::unary),
    onnx("Reshape", moves::reshape),
    onnx("RotaryEmbedding", rotary::rotary),
    onnx("Sigmoid", activations::unary),
    onnx("Sign", activations::unary),
    onnx("Sin", activations::unary),
    onnx("Slice", moves::slice),
    onnx("Softmax", sums::softmax),
    onnx("Softplus", activations::unary),
    Operator { domain: "", name: "Split", outputs: MANY, lower: moves::split },
    onnx("Sqrt", activations::unary),
    onnx("Squeeze", moves::reshape),
    onnx("Sub", pointwise::binary),
    onnx("SwiGLU", activations::swiglu),
    onnx("Swish", activations::swish),
    onnx("Tanh", activations::unary),
    onnx("Tile", moves::expand),
    onnx("Transpose", moves::transpose),
    onnx("Unsqueeze", moves::reshape),
    microsoft("BiasGelu", activations::bias_gelu),
    microsoft("FastGelu", activations::fast_gelu),
    microsoft("QuickGelu", activations::quick_gelu),
    Operator {
        domain: "com.microsoft",
        name: "SkipLayerNormalization",
        outputs: &[0, 3],
        lower: norms::skip_layer,
    },
    Operator {
        domain: "com.microsoft",
        name: "SkipSimplifiedLayerNormalization",
        outputs: &[0, 3],
        lower: norms::skip_rms,
    },
    onnx("SimplifiedLayerNormalization", norms::rms),
    own("CachedAttention", attention::cached),
    own("FusedConv", images::fused_conv),
    own("FusedLinear", products::fused_linear),
    own("Linear", products::linear),
];

/// The operator of this name.
pub(crate) fn find(op: &OpName) -> Option<&'static Operator> {
    OPERATORS.iter().find(|known| known.domain == &*op.domain && known.name == &*op.name)
}
