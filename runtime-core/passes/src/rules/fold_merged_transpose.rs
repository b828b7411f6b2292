//! The last two axes exchanged while the axes in front of them are merged: the same without merging. The
//! exporter of PyTorch writes the keys of an attention so.

use remuda_ir::{Attr, Node, NodeId, OpName};

use crate::pattern::{dims, producer, transposed};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fold_merged_transpose", apply, cases: include_str!("fold_merged_transpose.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = unmerged(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn unmerged(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let split = graph.node(id).filter(|node| node.op.is_onnx("Reshape"))?;
    let (exchanged, output) = (split.input(0)?, split.output(0)?);
    let merged = transposed(graph, exchanged, &[0, 2, 1])?;
    let (_, merge) = producer(graph, merged, "Reshape")?;
    let x = merge.input(0)?;
    let [batch, heads, rows, columns] = dims(graph, x)? else { return None };
    let [outer, r, c] = dims(graph, merged)? else { return None };
    let [b, h, c2, r2] = dims(graph, output)? else { return None };
    let whole = batch.mul(heads);
    let pairs = [
        (&whole, outer),
        (rows, r),
        (columns, c),
        (batch, b),
        (heads, h),
        (columns, c2),
        (rows, r2),
    ];
    let mut node = Node::new(OpName::onnx("Transpose"), vec![Some(x)], vec![Some(output)]);
    node.attrs.set("perm", Attr::Ints(vec![0, 1, 3, 2]));
    pairs.iter().all(|(a, b)| a.same(b)).then_some(node)
}
