//! `x / sqrt(mean(x^2) + epsilon) * scale` over the last axis: `RMSNormalization`.

use remuda_ir::{Attr, Node, NodeId, OpName, ValueId};
use remuda_tensor::DType;

use super::fuse_layer_norm::{root_of, variance_of, with_vector};
use crate::pattern::{dims, dtype, only_producer, scalar_operand};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_rms_norm", apply, cases: include_str!("fuse_rms_norm.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let scaled = graph.node(id).filter(|node| node.op.is_onnx("Mul"))?;
    let output = scaled.output(0).filter(|&output| dtype(graph, output) == Some(DType::F32))?;
    let (normal, scale) = with_vector(graph, scaled)?;
    let (x, epsilon) = normalised(graph, normal)?;
    let length = dims(graph, x)?.last()?.as_usize()?;
    graph.value(scale).constant().filter(|scale| scale.dims() == [length])?;
    let inputs = vec![Some(x), Some(scale)];
    let mut node = Node::new(OpName::onnx("RMSNormalization"), inputs, vec![Some(output)]);
    node.attrs.set("axis", Attr::Int(-1));
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit attribute")]
    node.attrs.set("epsilon", Attr::Float(epsilon as f32));
    Some(node)
}

/// What is divided by its root mean square, and what is added under the root.
fn normalised(graph: &Rewriter<'_>, value: ValueId) -> Option<(ValueId, f64)> {
    if let Some((_, quotient)) = only_producer(graph, value, "Div") {
        let x = quotient.input(0)?;
        return Some((x, root_mean_square(graph, quotient.input(1)?, x)?));
    }
    let (_, product) = only_producer(graph, value, "Mul")?;
    (0..2).find_map(|at| {
        let (x, factor) = (product.input(at)?, product.input(1 - at)?);
        let (_, inverse) = only_producer(graph, factor, "Reciprocal")?;
        Some((x, root_mean_square(graph, inverse.input(0)?, x)?))
    })
}

/// What is added under the root, if a value is the root mean square of `x`.
fn root_mean_square(graph: &Rewriter<'_>, value: ValueId, x: ValueId) -> Option<f64> {
    let (_, root) = only_producer(graph, value, "Sqrt")?;
    let (_, sum) = only_producer(graph, root.input(0)?, "Add")?;
    let (mean, epsilon) = scalar_operand(graph, sum)?;
    let squared = root_of(graph, variance_of(graph, mean)?)?;
    (squared == x).then_some(epsilon)
}
