//! `x * sigmoid(x)`: Swish.

use remuda_ir::{Node, NodeId, OpName};

use crate::pattern::only_producer;
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
        let (_, node) = only_producer(graph, gate, "Sigmoid")?;
        let fits = node.input(0) == Some(x);
        fits.then(|| Node::new(OpName::onnx("Swish"), vec![Some(x)], vec![product.output(0)]))
    })
}
