//! Nodes that give their input unchanged: Identity, Dropout outside training, casts to the same
//! dtype, transpositions that keep the order, concatenations of one, sums of one.

use remuda_ir::{Node, NodeId};

use crate::pattern::dtype;
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "drop_identity", apply, cases: include_str!("drop_identity.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = graph.node(id) else { return false };
    let (Some(input), Some(output)) = (node.input(0), node.output(0)) else { return false };
    if !node.op.domain.is_empty()
        || !changes_nothing(graph, node)
        || graph.outputs.contains(&output)
    {
        return false;
    }
    graph.replace_uses(output, input);
    true
}

fn changes_nothing(graph: &Rewriter<'_>, node: &Node) -> bool {
    match &*node.op.name {
        "Identity" => true,
        "Dropout" => node.output(1).is_none() && node.input(2).is_none(),
        "Concat" | "Sum" | "Max" | "Min" | "Mean" => node.inputs.len() == 1,
        "Cast" => match (node.input(0), node.output(0)) {
            (Some(from), Some(to)) => {
                dtype(graph, from).is_some() && dtype(graph, from) == dtype(graph, to)
            }
            _ => false,
        },
        "Transpose" => match node.attrs.ints("perm") {
            Ok(Some(perm)) => perm.iter().zip(0..).all(|(&axis, at)| axis == at),
            _ => false,
        },
        _ => false,
    }
}
