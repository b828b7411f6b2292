//! `x * sigmoid(x)`: Swish.

use remuda_ir::{Graph, Node, NodeId, OpName};

use crate::Rule;
use crate::pattern::{only_producer, replace};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_swish", apply, cases: include_str!("fuse_swish.rir") };

fn apply(graph: &mut Graph, id: NodeId) -> bool {
    let Some((sigmoid, node)) = fused(graph, id) else { return false };
    graph.remove(sigmoid);
    replace(graph, id, node);
    true
}

fn fused(graph: &Graph, id: NodeId) -> Option<(NodeId, Node)> {
    let product = graph.node(id).filter(|node| node.op.is_onnx("Mul"))?;
    (0..2).find_map(|at| {
        let (x, gate) = (product.input(at)?, product.input(1 - at)?);
        let (sigmoid, node) = only_producer(graph, gate, "Sigmoid")?;
        let fits = node.input(0) == Some(x);
        fits.then(|| {
            (sigmoid, Node::new(OpName::onnx("Swish"), vec![Some(x)], vec![product.output(0)]))
        })
    })
}
