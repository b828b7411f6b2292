//! A constant vector added to a product with a matrix: added while the product is written.

use remuda_ir::{Node, NodeId, OpName};

use crate::pattern::{constant, dims, is_fusible, only_producer};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_linear_bias", apply, cases: include_str!("fuse_linear_bias.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let add = graph.node(id).filter(|node| node.op.is_onnx("Add"))?;
    let output = add.output(0).filter(|&output| is_fusible(graph, output))?;
    (0..2).find_map(|at| {
        let (_, product) = only_producer(graph, add.input(at)?, "MatMul")?;
        let [_, columns] = dims(graph, product.input(1)?)? else { return None };
        let vector = constant(graph, add, 1 - at)?.dims();
        let is_vector = vector.len() == 1 && columns.as_usize() == Some(vector[0]);
        let inputs = vec![product.input(0), product.input(1), add.input(1 - at)];
        let node = Node {
            name: product.name.clone(),
            ..Node::new(OpName::new("remuda", "FusedLinear"), inputs, vec![Some(output)])
        };
        is_vector.then_some(node)
    })
}
