//! `x * sigmoid(x)`, and `x * sigmoid(alpha * x)`: Swish.

use remuda_ir::{Attr, Node, NodeId, OpName, ValueId};

use crate::pattern::{only_producer, same_rank, scalar_operand};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_swish", apply, cases: include_str!("fuse_swish.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let product = graph.node(id).filter(|node| node.op.is_onnx("Mul"))?;
    (0..2).find_map(|at| {
        let (x, gate) = (product.input(at)?, product.input(1 - at)?);
        let inner = only_producer(graph, gate, "Sigmoid")?.1.input(0)?;
        let alpha = if inner == x { 1.0 } else { factor(graph, inner, x)? };
        let mut swish = Node::new(OpName::onnx("Swish"), vec![Some(x)], vec![product.output(0)]);
        if alpha != 1.0 {
            swish.attrs.set("alpha", Attr::Float(alpha));
        }
        Some(swish)
    })
}

/// The number that `x` is multiplied with to make this value of its own dimensions.
fn factor(graph: &Rewriter<'_>, value: ValueId, x: ValueId) -> Option<f32> {
    let (_, product) = only_producer(graph, value, "Mul")?;
    let (_, alpha) = scalar_operand(graph, product).filter(|(inner, _)| *inner == x)?;
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit attribute")]
    same_rank(graph, value, x).then_some(alpha as f32)
}
