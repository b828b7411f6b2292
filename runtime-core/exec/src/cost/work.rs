//! What a node computes, counted: the arithmetic of products, and functions that take many
//! instructions per element. Everything else is bound by the bytes that it reads and writes.
//!
//! Counts are those of the definition of an operator, not of a kernel: they rank nodes, and devices
//! differ in how many they do per nanosecond.

use remuda_base::Set;
use remuda_ir::{Graph, Node};

use super::{Sizes, USUAL_SIZE};

/// What a node computes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Work {
    /// Multiplications and additions.
    pub(super) products: f64,
    /// Elements of exponentials, norms and the like.
    pub(super) functions: f64,
}

/// Counts the work of a node.
pub(super) fn of(graph: &Graph, node: &Node, sizes: &Sizes) -> Work {
    let shapes = Shapes { graph, node, sizes };
    let microsoft = node.op.domain.starts_with("com.microsoft");
    match &*node.op.name {
        "MatMul"
        | "FusedMatMul"
        | "TransposeMatMul"
        | "MatMulInteger"
        | "MatMulIntegerToFloat"
        | "QLinearMatMul"
        | "DynamicQuantizeMatMul"
        | "MatMulNBits"
        | "MatMulBnb4"
        | "Gemm"
        | "FusedGemm"
        | "QGemm"
        | "Linear"
        | "FusedLinear"
        | "ExpertLinear" => products(2.0 * shapes.made() * shapes.inner()),
        "Conv"
        | "FusedConv"
        | "NhwcFusedConv"
        | "ConvInteger"
        | "DeformConv"
        | "CausalConvWithState" => products(2.0 * shapes.made() * shapes.window(1)),
        "QLinearConv" => products(2.0 * shapes.made() * shapes.window(3)),
        // Every element of the input is spread over a window of every output channel.
        "ConvTranspose" => products(2.0 * shapes.elements(0) * shapes.window(1)),
        "Einsum" => products(2.0 * shapes.indices()),
        "LSTM" | "GRU" | "RNN" | "DynamicQuantizeLSTM" => {
            let weights = shapes.elements(1) + shapes.elements(2);
            products(2.0 * shapes.leading(0, 2) * weights)
        }
        "Attention" | "QAttention" if microsoft => shapes.projected_attention(),
        "Attention" | "FlexAttention" => shapes.attention(Some(4)),
        "MultiHeadAttention" => shapes.attention(Some(6)),
        "GroupQueryAttention" => shapes.attention(Some(3)),
        "CachedAttention" => {
            let tokens = shapes.leading(0, 1);
            // A token looks at what was there before, and at half of the tokens beside it.
            shapes.attention_over(usual() + tokens / 2.0)
        }
        // What was encoded is as long as any text.
        "CrossAttention" => shapes.attention_over(usual()),
        "LinearAttention" => {
            let tokens = shapes.dims(0).and_then(|dims| dims.get(1).copied()).unwrap_or(1.0);
            products(4.0 * tokens * shapes.elements(3).max(shapes.made()))
        }
        "MoE" => {
            let experts: f64 = [2, 4, 6].map(|weight| shapes.window(weight)).iter().sum();
            products(2.0 * shapes.rows() * shapes.attribute("k", 1.0) * experts)
        }
        "MaxPool" | "AveragePool" | "LpPool" | "NhwcMaxPool" | "QLinearAveragePool" => {
            products(shapes.made() * shapes.kernel())
        }
        name if is_function(name) => Work { products: 0.0, functions: shapes.made() },
        _ => Work::default(),
    }
}

fn products(products: f64) -> Work {
    Work { products, functions: 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a small constant")]
fn usual() -> f64 {
    USUAL_SIZE as f64
}

/// Whether an operator takes many instructions per element.
fn is_function(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "Exp",
        "Log",
        "Pow",
        "Erf",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Tanh",
        "Asinh",
        "Acosh",
        "Atanh",
        "Sigmoid",
        "Softplus",
        "Mish",
        "Swish",
        "SwiGLU",
        "Elu",
        "Selu",
        "Celu",
        "Softmax",
        "LogSoftmax",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "RotaryEmbedding",
        "LRN",
    ];
    NAMES.contains(&name) || name.ends_with("Gelu") || name.ends_with("Normalization")
}

/// The sizes of what a node reads and makes.
struct Shapes<'a> {
    graph: &'a Graph,
    node: &'a Node,
    sizes: &'a Sizes,
}

impl Shapes<'_> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn dims_of(&self, value: Option<remuda_ir::ValueId>) -> Option<Vec<f64>> {
        let ty = self.graph.value(value?).ty.as_ref()?.as_tensor()?;
        Some(self.sizes.dims(ty)?.iter().map(|&dim| dim as f64).collect())
    }

    fn dims(&self, input: usize) -> Option<Vec<f64>> {
        self.dims_of(self.node.input(input))
    }

    /// Elements of an input; 0 where there is none, or of unknown rank.
    fn elements(&self, input: usize) -> f64 {
        self.dims(input).map_or(0.0, |dims| dims.iter().product())
    }

    /// Elements of the first output.
    fn made(&self) -> f64 {
        self.dims_of(self.node.output(0)).map_or(1.0, |dims| dims.iter().product())
    }

    /// The product of the first dimensions of an input.
    fn leading(&self, input: usize, count: usize) -> f64 {
        self.dims(input).map_or(1.0, |dims| dims.iter().take(count).product())
    }

    /// Rows of the first input.
    fn rows(&self) -> f64 {
        self.dims(0).map_or(1.0, |dims| dims.iter().rev().skip(1).product())
    }

    /// The length of the sums of a product of matrices.
    fn inner(&self) -> f64 {
        let transposed = self.attribute("transA", 0.0) != 0.0;
        let dims = self.dims(0).unwrap_or_default();
        dims.iter().rev().nth(usize::from(transposed)).copied().unwrap_or(1.0)
    }

    /// Weights that belong to one entry of the first axis of an input; 0 where there is none.
    fn window(&self, input: usize) -> f64 {
        self.dims(input).map_or(0.0, |dims| dims.iter().skip(1).product())
    }

    fn attribute(&self, name: &str, default: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        self.node.attrs.int(name).ok().flatten().map_or(default, |value| value.max(0) as f64)
    }

    /// Elements of the window of a pool.
    fn kernel(&self) -> f64 {
        let shape = self.node.attrs.ints("kernel_shape").ok().flatten().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        shape.iter().map(|&size| size.max(1) as f64).product()
    }

    /// The product of the sizes of all indices of an equation.
    fn indices(&self) -> f64 {
        let equation = self.node.attrs.text_or("equation", "").unwrap_or_default();
        let terms = equation.split("->").next().unwrap_or_default();
        let mut seen = Set::new();
        let mut count = 1.0;
        for (input, term) in terms.split(',').enumerate() {
            let letters: Vec<char> =
                term.chars().filter(|letter| !letter.is_whitespace()).collect();
            let Some(dims) = self.dims(input).filter(|dims| dims.len() == letters.len()) else {
                continue;
            };
            for (letter, dim) in letters.into_iter().zip(dims) {
                count *= if seen.insert(letter) { dim } else { 1.0 };
            }
        }
        count
    }

    /// Attention whose keys are an input, behind those of another, the `past`.
    fn attention(&self, past: Option<usize>) -> Work {
        let length = |dims: Vec<f64>| match dims[..] {
            // Keys and values side by side.
            [_, length, _, _, _] => Some(length),
            _ => dims.iter().rev().nth(1).copied(),
        };
        let own = self.dims(1).or_else(|| self.dims(0)).and_then(length).unwrap_or(1.0);
        let past = past.and_then(|past| self.dims(past)).and_then(length).unwrap_or(0.0);
        self.attention_over(own + past)
    }

    /// Attention behind a projection of the input to queries, keys and values.
    fn projected_attention(&self) -> Work {
        let tokens = self.dims(0).and_then(|dims| dims.get(1).copied()).unwrap_or(1.0);
        let attention = self.attention_over(tokens);
        let projection = 2.0 * self.rows() * self.elements(1);
        Work { products: attention.products + projection, ..attention }
    }

    /// Every query looks at so many positions: a product with keys, one with values, and a softmax.
    fn attention_over(&self, positions: f64) -> Work {
        let made = self.dims_of(self.node.output(0)).unwrap_or_default();
        let elements: f64 = made.iter().product();
        let heads = ["num_heads", "q_num_heads"].map(|name| self.attribute(name, 0.0));
        let heads = if made.len() == 4 { 1.0 } else { heads[0].max(heads[1]).max(1.0) };
        let rows = elements / made.last().copied().unwrap_or(1.0).max(1.0) * heads;
        // Queries may be longer than values.
        let both = if made.len() == 4 { self.elements(0) + elements } else { 2.0 * elements };
        Work { products: 2.0 * positions * both, functions: positions * rows }
    }
}

#[cfg(test)]
mod tests {
    use super::{Work, of};
    use crate::cost::Sizes;
    use remuda_ir::{infer_graph, text, verify};

    /// The work of the only node of a graph.
    fn work(inputs: &str, node: &str) -> Work {
        let source = format!("graph \"g\" {{\n{inputs}  %y = {node}\n  output %y\n}}");
        let mut graph = text::parse(&source).unwrap();
        verify(&graph, &remuda_ops::Ops).unwrap();
        infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
        let (_, node) = graph.nodes().next().unwrap();
        of(&graph, node, &Sizes::default())
    }

    #[test]
    fn products_count_two_for_each_step_of_their_sums() {
        let given = "  input %a: f32[3, 5]\n  input %b: f32[5, 7]\n";
        assert_eq!(work(given, "MatMul(%a, %b)").products, 2.0 * 3.0 * 5.0 * 7.0);
        let given = "  input %a: f32[5, 3]\n  input %b: f32[5, 7]\n";
        assert_eq!(work(given, "Gemm(%a, %b) {transA = 1}").products, 2.0 * 3.0 * 5.0 * 7.0);
        let given = "  input %a: f32[2, 3, 5]\n  input %b: f32[5, 7]\n";
        let einsum = work(given, "Einsum(%a, %b) {equation = \"bij, jk -> bik\"}");
        assert_eq!(einsum.products, 2.0 * 2.0 * 3.0 * 5.0 * 7.0);
    }

    #[test]
    fn convolutions_count_their_window() {
        let given = "  input %x: f32[1, 4, 8, 8]\n  input %w: f32[6, 4, 3, 3]\n";
        assert_eq!(work(given, "Conv(%x, %w)").products, 2.0 * (6.0 * 36.0) * (4.0 * 9.0));
        let given = "  input %x: f32[1, 4, 8, 8]\n  input %w: f32[4, 6, 3, 3]\n";
        assert_eq!(work(given, "ConvTranspose(%x, %w)").products, 2.0 * 256.0 * 54.0);
    }

    #[test]
    fn attention_counts_both_products_and_the_softmax_between() {
        let given = "  input %q: f32[2, 4, 8, 16]\n  input %k: f32[2, 4, 10, 16]\n  \
            input %v: f32[2, 4, 10, 32]\n";
        let scores = 2.0 * 4.0 * 8.0 * 10.0;
        let want = Work { products: 2.0 * scores * (16.0 + 32.0), functions: scores };
        assert_eq!(work(given, "Attention(%q, %k, %v)"), want);
        let given =
            "  input %q: f32[2, 8, 64]\n  input %k: f32[2, 10, 64]\n  input %v: f32[2, 10, 64]\n";
        let want = Work { products: 2.0 * scores * (16.0 + 16.0), functions: scores };
        let node = "com.microsoft::MultiHeadAttention(%q, %k, %v) {num_heads = 4}";
        assert_eq!(work(given, node), want);
    }

    #[test]
    fn functions_are_told_from_plain_arithmetic() {
        let given = "  input %x: f32[8, 4]\n";
        for function in ["Exp", "Tanh", "Softmax", "Erf", "Gelu", "Sin", "Cosh"] {
            let want = Work { functions: 32.0, ..Work::default() };
            assert_eq!(work(given, &format!("{function}(%x)")), want, "{function}");
        }
        for plain in ["Neg", "Abs", "Relu", "Transpose", "Sign"] {
            assert_eq!(work(given, &format!("{plain}(%x)")), Work::default(), "{plain}");
        }
    }
}
