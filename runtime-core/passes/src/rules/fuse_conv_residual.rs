//! A tensor of the same dimensions added to a convolution: added while its result is written.

use remuda_ir::{Graph, Node, NodeId, OpName};
use remuda_tensor::DType;

use crate::Rule;
use crate::pattern::{dtype, only_producer, replace, same_dims};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_conv_residual", apply, cases: include_str!("fuse_conv_residual.rir") };

fn apply(graph: &mut Graph, id: NodeId) -> bool {
    let Some((conv_id, node)) = fused(graph, id) else { return false };
    graph.remove(conv_id);
    replace(graph, id, node);
    true
}

fn fused(graph: &Graph, id: NodeId) -> Option<(NodeId, Node)> {
    let add = graph.node(id).filter(|node| node.op.is_onnx("Add"))?;
    let output = add.output(0).filter(|&output| dtype(graph, output) == Some(DType::F32))?;
    (0..2).find_map(|at| {
        let (sum, residual) = (add.input(at)?, add.input(1 - at)?);
        let (conv_id, conv) = only_producer(graph, sum, "Conv")?;
        if sum == residual || !same_dims(graph, sum, residual) {
            return None;
        }
        let inputs = vec![conv.input(0), conv.input(1), conv.input(2), Some(residual)];
        let mut node = Node::new(OpName::new("remuda", "FusedConv"), inputs, vec![Some(output)]);
        node.attrs = conv.attrs.clone();
        node.name.clone_from(&conv.name);
        Some((conv_id, node))
    })
}
