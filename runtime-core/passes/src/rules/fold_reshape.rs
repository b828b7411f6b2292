//! A reshape to computed sizes that the types tell: numbers, or those of the input at the same axis. With
//! them written down the computation of the sizes dies.

use remuda_ir::{Attr, NodeId};
use remuda_tensor::{Dim, Tensor};

use crate::pattern::{constant, dims};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fold_reshape", apply, cases: include_str!("fold_reshape.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(sizes) = known_sizes(graph, id) else { return false };
    let sizes = graph.add_const("folded_shape", Tensor::vector(sizes));
    let Some(mut node) = graph.node(id).cloned() else { return false };
    node.inputs[1] = Some(sizes);
    node.attrs.set("allowzero", Attr::Int(0));
    graph.replace(id, node);
    true
}

/// The sizes as a request says them: 0 for that of the input, -1 for what is left over.
fn known_sizes(graph: &Rewriter<'_>, id: NodeId) -> Option<Vec<i64>> {
    let node = graph.node(id).filter(|node| node.op.is_onnx("Reshape"))?;
    if constant(graph, node, 1).is_some() {
        return None;
    }
    let (from, to) = (dims(graph, node.input(0)?)?, dims(graph, node.output(0)?)?);
    let size = |(at, dim): (usize, &Dim)| match dim {
        Dim::Known(size) => Some(*size).filter(|&size| size > 0),
        _ if from.get(at).is_some_and(|of_input| of_input.same(dim)) => Some(0),
        _ => Some(-1),
    };
    let sizes: Vec<i64> = to.iter().enumerate().map(size).collect::<Option<_>>()?;
    // What is left over is not defined where another size may turn out to be 0.
    let left_over = sizes.iter().filter(|&&size| size < 0).count();
    (left_over == 0 || (left_over == 1 && !sizes.contains(&0))).then_some(sizes)
}
