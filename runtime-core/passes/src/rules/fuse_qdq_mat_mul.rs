//! A product of dequantised operands whose result is quantised: `QLinearMatMul`, which stays in integers.

use remuda_ir::{Node, NodeId, OpName};

use crate::pattern::only_producer;
use crate::quantized::{Quantized, is_constant_of_rank};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_qdq_mat_mul", apply, cases: include_str!("fuse_qdq_mat_mul.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some((mut node, sides)) = found(graph, id) else { return false };
    for side in sides {
        let zero = side.zero_or_new(graph);
        node.inputs.extend([Some(side.scale), zero]);
    }
    // The operands stand in front of their scales; the result has none.
    node.inputs.insert(0, Some(sides[0].value));
    node.inputs.insert(3, Some(sides[1].value));
    graph.replace(id, node);
    true
}

fn found(graph: &Rewriter<'_>, id: NodeId) -> Option<(Node, [Quantized; 3])> {
    let quantize = graph.node(id)?;
    let y = Quantized::made_by(graph, quantize)?;
    let (_, product) = only_producer(graph, quantize.input(0)?, "MatMul")?;
    let a = Quantized::behind(graph, product.input(0)?)?;
    let b = Quantized::behind(graph, product.input(1)?)?;
    let uniform = a.is_uniform(graph) && y.is_uniform(graph) && b.is_along(graph, 1);
    let bytes = a.is_bytes() && b.is_bytes() && y.is_bytes();
    let fits = uniform && bytes && is_constant_of_rank(graph, b.value, 2);
    let mut node = Node::new(OpName::onnx("QLinearMatMul"), Vec::new(), quantize.outputs.clone());
    node.name.clone_from(&product.name);
    fits.then_some((node, [a, b, y]))
}
