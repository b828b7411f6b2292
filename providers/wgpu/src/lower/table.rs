//! Which function lowers which operator.

use remuda_sdk::ir::{Node, OpName};

use super::{
    Lowering, Refusal, activations, attention, dense_attention, images, moves, norms, pointwise,
    products, resize, rotary, sums,
};

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
    onnx("Acos", activations::unary),
    onnx("Acosh", activations::unary),
    onnx("Add", pointwise::binary),
    onnx("And", pointwise::binary),
    onnx("Asin", activations::unary),
    onnx("Asinh", activations::unary),
    onnx("Atan", activations::unary),
    onnx("Atanh", activations::unary),
    Operator {
        domain: "",
        name: "Attention",
        outputs: &[0, 1, 2],
        lower: dense_attention::attention,
    },
    onnx("AveragePool", images::average_pool),
    onnx("BatchNormalization", norms::batch),
    onnx("Cast", pointwise::cast),
    onnx("Ceil", activations::unary),
    onnx("Celu", activations::unary),
    onnx("Clip", pointwise::clip),
    onnx("Concat", moves::concat),
    onnx("Conv", images::conv),
    onnx("ConvTranspose", images::conv_transpose),
    onnx("Cos", activations::unary),
    onnx("Cosh", activations::unary),
    onnx("Div", pointwise::binary),
    onnx("Dropout", moves::same),
    onnx("Elu", activations::unary),
    onnx("Equal", pointwise::binary),
    onnx("Erf", activations::unary),
    onnx("Exp", activations::unary),
    onnx("Expand", moves::expand),
    onnx("Flatten", moves::reshape),
    onnx("Floor", activations::unary),
    onnx("Gather", moves::gather),
    onnx("Gelu", activations::unary),
    onnx("Gemm", products::gemm),
    onnx("GlobalAveragePool", sums::global),
    onnx("GlobalMaxPool", sums::global),
    onnx("Greater", pointwise::binary),
    onnx("GreaterOrEqual", pointwise::binary),
    onnx("GroupNormalization", norms::group),
    onnx("HardSigmoid", activations::unary),
    onnx("HardSwish", activations::unary),
    onnx("Identity", moves::same),
    onnx("InstanceNormalization", norms::instance),
    onnx("IsInf", activations::unary),
    onnx("IsNaN", activations::unary),
    onnx("LayerNormalization", norms::layer),
    onnx("LeakyRelu", activations::unary),
    onnx("Less", pointwise::binary),
    onnx("LessOrEqual", pointwise::binary),
    onnx("Log", activations::unary),
    onnx("LogSoftmax", sums::softmax),
    onnx("MatMul", products::mat_mul),
    onnx("Max", pointwise::many),
    onnx("MaxPool", images::max_pool),
    onnx("Mean", pointwise::many),
    onnx("Min", pointwise::many),
    onnx("Mish", activations::unary),
    onnx("Mul", pointwise::binary),
    onnx("Neg", activations::unary),
    onnx("Not", activations::unary),
    onnx("Or", pointwise::binary),
    onnx("PRelu", pointwise::prelu),
    onnx("Pad", moves::pad),
    onnx("Pow", pointwise::pow),
    onnx("RMSNormalization", norms::rms),
    onnx("Reciprocal", activations::unary),
    onnx("ReduceL1", sums::reduce),
    onnx("ReduceL2", sums::reduce),
    onnx("ReduceLogSum", sums::reduce),
    onnx("ReduceLogSumExp", sums::reduce),
    onnx("ReduceMax", sums::reduce),
    onnx("ReduceMean", sums::reduce),
    onnx("ReduceMin", sums::reduce),
    onnx("ReduceProd", sums::reduce),
    onnx("ReduceSum", sums::reduce),
    onnx("ReduceSumSquare", sums::reduce),
    onnx("Relu", activations::unary),
    onnx("Reshape", moves::reshape),
    onnx("Resize", resize::resize),
    onnx("RotaryEmbedding", rotary::rotary),
    onnx("Round", activations::unary),
    onnx("Selu", activations::unary),
    onnx("Shrink", activations::unary),
    onnx("Sigmoid", activations::unary),
    onnx("Sign", activations::unary),
    onnx("SimplifiedLayerNormalization", norms::rms),
    onnx("Sin", activations::unary),
    onnx("Sinh", activations::unary),
    onnx("Slice", moves::slice),
    onnx("Softmax", sums::softmax),
    onnx("Softplus", activations::unary),
    onnx("Softsign", activations::unary),
    Operator { domain: "", name: "Split", outputs: MANY, lower: moves::split },
    onnx("Sqrt", activations::unary),
    onnx("Squeeze", moves::reshape),
    onnx("Sub", pointwise::binary),
    onnx("Sum", pointwise::many),
    onnx("SwiGLU", pointwise::swiglu),
    onnx("Swish", activations::unary),
    onnx("Tan", activations::unary),
    onnx("Tanh", activations::unary),
    onnx("ThresholdedRelu", activations::unary),
    onnx("Tile", moves::tile),
    onnx("Transpose", moves::transpose),
    onnx("Unsqueeze", moves::reshape),
    onnx("Where", pointwise::choice),
    onnx("Xor", pointwise::binary),
    microsoft("BiasGelu", pointwise::bias_gelu),
    microsoft("FastGelu", pointwise::fast_gelu),
    microsoft("Gelu", activations::unary),
    microsoft("QuickGelu", activations::unary),
    microsoft("SimplifiedLayerNormalization", norms::rms),
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
    own("CachedAttention", attention::cached),
    own("FusedConv", images::conv),
    own("FusedLinear", products::fused_linear),
    own("Linear", products::linear),
];

/// The operator of this name.
pub(crate) fn find(op: &OpName) -> Option<&'static Operator> {
    OPERATORS.iter().find(|known| known.domain == &*op.domain && known.name == &*op.name)
}
