//! A transposition that stands before, too: its result is used instead. Keys that are turned for an attention
//! are turned once more for whoever keeps them.

use remuda_ir::{NodeId, ValueId};

use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule = Rule {
    name: "drop_repeated_transpose",
    apply,
    cases: include_str!("drop_repeated_transpose.rir"),
};

/// Users of a value that are looked at, lest many of one value take long.
const MOST: usize = 16;

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some((output, same)) = repeated(graph, id) else { return false };
    graph.replace_uses(output, same);
    true
}

/// The output of a transposition, and that of an equal one before it.
fn repeated(graph: &Rewriter<'_>, id: NodeId) -> Option<(ValueId, ValueId)> {
    let node = graph.node(id).filter(|node| node.op.is_onnx("Transpose"))?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let first = |&other: &NodeId| {
        let first = graph.node(other).filter(|_| graph.precedes(other, id))?;
        let same =
            (&first.op, &first.inputs, &first.attrs) == (&node.op, &node.inputs, &node.attrs);
        first.output(0).filter(|_| same)
    };
    let same = graph.users_of(input).iter().take(MOST).find_map(first)?;
    (!graph.outputs.contains(&output)).then_some((output, same))
}
