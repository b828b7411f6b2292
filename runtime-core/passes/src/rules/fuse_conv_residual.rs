//! A tensor of the same dimensions added to a convolution: added while its result is written.

use remuda_ir::{Node, NodeId, OpName};

use crate::pattern::{is_fusible, only_producer, same_dims};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_conv_residual", apply, cases: include_str!("fuse_conv_residual.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let add = graph.node(id).filter(|node| node.op.is_onnx("Add"))?;
    let output = add.output(0).filter(|&output| is_fusible(graph, output))?;
    (0..2).find_map(|at| {
        let (sum, residual) = (add.input(at)?, add.input(1 - at)?);
        let (_, conv) = only_producer(graph, sum, "Conv")?;
        if sum == residual || !same_dims(graph, sum, residual) {
            return None;
        }
        let inputs = vec![conv.input(0), conv.input(1), conv.input(2), Some(residual)];
        let mut node = Node::new(OpName::new("remuda", "FusedConv"), inputs, vec![Some(output)]);
        node.attrs = conv.attrs.clone();
        node.name.clone_from(&conv.name);
        Some(node)
    })
}
