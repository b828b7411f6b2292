//! `(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias` over the last axis:
//! `LayerNormalization`.

use remuda_ir::{Attr, Graph, Node, NodeId, OpName, ValueId};

use crate::Rule;
use crate::pattern::{constant, dims, producer, replace, scalar, scalar_operand};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_layer_norm", apply, cases: include_str!("fuse_layer_norm.rir") };

fn apply(graph: &mut Graph, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    replace(graph, id, node);
    true
}

fn fused(graph: &Graph, id: NodeId) -> Option<Node> {
    let sum = graph.node(id).filter(|node| node.op.is_onnx("Add"))?;
    let output = sum.output(0)?;
    let (scaled, bias) = with_vector(graph, sum)?;
    let (_, product) = producer(graph, scaled, "Mul")?;
    let (normal, scale) = with_vector(graph, product)?;
    let (_, quotient) = producer(graph, normal, "Div")?;
    let (centred, deviation) = (quotient.input(0)?, quotient.input(1)?);
    let (_, root) = producer(graph, deviation, "Sqrt")?;
    let (_, padded) = producer(graph, root.input(0)?, "Add")?;
    let (variance, epsilon) = scalar_operand(graph, padded)?;
    let square = mean_of(graph, variance)?;
    let squared = root_of(graph, square)?;
    let x = centred_on_mean(graph, centred)?;
    if centred_on_mean(graph, squared) != Some(x) {
        return None;
    }
    let length = dims(graph, x)?.last()?.as_usize()?;
    let fits = |value: ValueId| {
        graph.value(value).constant().is_some_and(|vector| vector.dims() == [length])
    };
    if !fits(scale) || !fits(bias) {
        return None;
    }
    let mut node = Node::new(
        OpName::onnx("LayerNormalization"),
        vec![Some(x), Some(scale), Some(bias)],
        vec![Some(output)],
    );
    node.attrs.set("axis", Attr::Int(-1));
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit attribute")]
    node.attrs.set("epsilon", Attr::Float(epsilon as f32));
    Some(node)
}

/// Of a node of two inputs: the computed one and the constant one.
pub(super) fn with_vector(graph: &Graph, node: &Node) -> Option<(ValueId, ValueId)> {
    (0..2)
        .find_map(|at| constant(graph, node, at).and(Some((node.input(1 - at)?, node.input(at)?))))
}

/// What a mean over the last axis is taken of.
pub(super) fn mean_of(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let (_, mean) = producer(graph, value, "ReduceMean")?;
    let x = mean.input(0)?;
    let rank = i64::try_from(dims(graph, x)?.len()).ok()?;
    let axes = constant(graph, mean, 1)?.to_i64_vec().ok()?;
    let keeps = mean.attrs.bool_or("keepdims", true).ok()?;
    (keeps && (axes == [-1] || axes == [rank - 1])).then_some(x)
}

/// What a difference from the own mean is taken of.
fn centred_on_mean(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let (_, difference) = producer(graph, value, "Sub")?;
    let x = difference.input(0)?;
    (mean_of(graph, difference.input(1)?) == Some(x)).then_some(x)
}

/// What a value is the square of.
pub(super) fn root_of(graph: &Graph, square: ValueId) -> Option<ValueId> {
    if let Some((_, power)) = producer(graph, square, "Pow") {
        return power.input(0).filter(|_| scalar(graph, power, 1) == Some(2.0));
    }
    let (_, product) = producer(graph, square, "Mul")?;
    product.input(0).filter(|&factor| product.input(1) == Some(factor))
}
