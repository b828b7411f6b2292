//! Nodes that give their input unchanged: Identity, Dropout outside training, casts to the same
//! dtype, transpositions that keep the order, concatenations of one, sums of one, reshapes and
//! expansions to the same dimensions, products with one and differences to nothing.

use remuda_ir::{Node, NodeId, ValueId};

use crate::pattern::{dtype, same_dims, same_rank, scalar, scalar_operand};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "drop_identity", apply, cases: include_str!("drop_identity.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = graph.node(id).filter(|node| node.op.domain.is_empty()) else { return false };
    let (Some(same), Some(output)) = (unchanged(graph, node), node.output(0)) else { return false };
    if graph.outputs.contains(&output) {
        return false;
    }
    graph.replace_uses(output, same);
    true
}

/// The input that the output of a node equals.
fn unchanged(graph: &Rewriter<'_>, node: &Node) -> Option<ValueId> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let is_same = match &*node.op.name {
        "Identity" => true,
        "Dropout" => node.output(1).is_none() && node.input(2).is_none(),
        "Concat" | "Sum" | "Max" | "Min" | "Mean" => node.inputs.len() == 1,
        "Cast" => dtype(graph, input).is_some() && dtype(graph, input) == dtype(graph, output),
        "Transpose" => match node.attrs.ints("perm") {
            Ok(Some(perm)) => perm.iter().zip(0..).all(|(&axis, at)| axis == at),
            _ => false,
        },
        "Reshape" | "Expand" => same_dims(graph, input, output),
        // Nothing is not added: the sum of it and a negative zero is a positive one.
        "Sub" => scalar(graph, node, 1) == Some(0.0) && same_rank(graph, input, output),
        "Div" => scalar(graph, node, 1) == Some(1.0) && same_rank(graph, input, output),
        "Mul" => {
            let (factor, _) = scalar_operand(graph, node).filter(|(_, one)| *one == 1.0)?;
            return same_rank(graph, factor, output).then_some(factor);
        }
        _ => false,
    };
    is_same.then_some(input)
}
