//! Small questions that rules ask of a graph.

use remuda_ir::{Def, Graph, Node, NodeId, ValueId};
use remuda_tensor::{DType, Dim, Tensor};

use crate::Rewriter;

/// The node that makes a value, if it is this operator of ONNX's own domain and nothing else uses the
/// value: what may be merged into its user.
pub(crate) fn only_producer<'a>(
    graph: &'a Rewriter<'_>,
    value: ValueId,
    op: &str,
) -> Option<(NodeId, &'a Node)> {
    producer(graph, value, op).filter(|_| graph.is_private(value))
}

/// The node that makes a value, if it is this operator of ONNX's own domain.
pub(crate) fn producer<'a>(
    graph: &'a Rewriter<'_>,
    value: ValueId,
    op: &str,
) -> Option<(NodeId, &'a Node)> {
    let Def::Node(id, 0) = graph.value(value).def else { return None };
    graph.node(id).filter(|node| node.op.is_onnx(op)).map(|node| (id, node))
}

/// The dtype of a tensor value.
pub(crate) fn dtype(graph: &Graph, value: ValueId) -> Option<DType> {
    Some(graph.value(value).ty.as_ref()?.as_tensor()?.dtype)
}

/// Whether fused products and convolutions compute in the dtype of a value.
pub(crate) fn is_fusible(graph: &Graph, value: ValueId) -> bool {
    matches!(dtype(graph, value), Some(DType::F32 | DType::F16 | DType::BF16))
}

/// The dimensions of a tensor value.
pub(crate) fn dims(graph: &Graph, value: ValueId) -> Option<&[Dim]> {
    graph.value(value).ty.as_ref()?.as_tensor()?.dims.as_deref()
}

/// Whether two values have the same known dimensions.
pub(crate) fn same_dims(graph: &Graph, a: ValueId, b: ValueId) -> bool {
    match (dims(graph, a), dims(graph, b)) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
        _ => false,
    }
}

/// Whether two values have the same known number of dimensions. One that is scaled by a number has the
/// dimensions of the other then: only by more dimensions could the number change them.
pub(crate) fn same_rank(graph: &Graph, a: ValueId, b: ValueId) -> bool {
    let rank = |value| dims(graph, value).map(<[Dim]>::len);
    rank(a).is_some() && rank(a) == rank(b)
}

/// The constant behind an input of a node.
pub(crate) fn constant<'a>(graph: &'a Graph, node: &Node, input: usize) -> Option<&'a Tensor> {
    graph.value(node.input(input)?).constant()
}

/// The one number in a constant input.
pub(crate) fn scalar(graph: &Graph, node: &Node, input: usize) -> Option<f64> {
    let tensor = constant(graph, node, input).filter(|tensor| tensor.len() == 1)?;
    tensor.to_f64_vec().ok()?.first().copied()
}

/// Of a commutative node's two inputs: the other one, and the number in the constant one.
pub(crate) fn scalar_operand(graph: &Graph, node: &Node) -> Option<(ValueId, f64)> {
    (0..2).find_map(|at| Some((node.input(1 - at)?, scalar(graph, node, at)?)))
}

/// Whether two numbers are equal but for rounding to 32 bits (or 16, as some exporters write them).
pub(crate) fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-3 * b.abs()
}

/// The value under multiplications with and divisions by constant numbers that nothing else uses, and
/// the factor that they amount to.
pub(crate) fn unscaled(graph: &Rewriter<'_>, value: ValueId) -> (ValueId, f64) {
    let (mut value, mut factor) = (value, 1.0);
    loop {
        let product =
            only_producer(graph, value, "Mul").and_then(|(_, node)| scalar_operand(graph, node));
        let quotient = || {
            let (_, node) = only_producer(graph, value, "Div")?;
            Some((node.input(0)?, 1.0 / scalar(graph, node, 1)?))
        };
        match product.or_else(quotient).filter(|(inner, _)| same_dims(graph, *inner, value)) {
            Some((inner, by)) => (value, factor) = (inner, factor * by),
            None => return (value, factor),
        }
    }
}

/// What a transposition with these axes makes the value of.
pub(crate) fn transposed(graph: &Rewriter<'_>, value: ValueId, axes: &[i64]) -> Option<ValueId> {
    let (_, node) = producer(graph, value, "Transpose")?;
    node.input(0).filter(|_| node.attrs.ints("perm").ok().flatten() == Some(axes))
}
