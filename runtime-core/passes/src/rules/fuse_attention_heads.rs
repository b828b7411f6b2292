//! Heads that are split off before an attention and merged behind it: `Attention` reads and writes them
//! side by side as well, without moving them.

use remuda_ir::{Attr, Node, NodeId, ValueId};
use remuda_tensor::Dim;

use crate::pattern::{dims, only_producer, producer, transposed};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_attention_heads", apply, cases: include_str!("fuse_attention_heads.rir") };

const HEADS_FIRST: [i64; 4] = [0, 2, 1, 3];

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let merged = graph.node(id).filter(|node| node.op.is_onnx("Reshape"))?;
    let (_, turned) = only_producer(graph, merged.input(0)?, "Transpose")?;
    let apart = transposed(graph, merged.input(0)?, &HEADS_FIRST)?;
    let (_, attention) = only_producer(graph, turned.input(0)?, "Attention")?;
    let plain = attention.inputs.iter().skip(4).all(Option::is_none)
        && attention.outputs.iter().skip(1).all(Option::is_none)
        && attention.attrs.int("q_num_heads").ok()?.is_none();
    if !plain {
        return None;
    }
    let part = |at: usize| side_by_side(graph, attention.input(at)?);
    let ((query, heads), (key, kv_heads), (value, _)) = (part(0)?, part(1)?, part(2)?);
    if !merges(dims(graph, apart)?, dims(graph, merged.output(0)?)?) {
        return None;
    }
    let mut node = attention.clone();
    (node.inputs[0], node.inputs[1], node.inputs[2]) = (Some(query), Some(key), Some(value));
    node.outputs = vec![merged.output(0)];
    node.attrs.set("q_num_heads", Attr::Int(heads));
    node.attrs.set("kv_num_heads", Attr::Int(kv_heads));
    Some(node)
}

/// The value whose last axis holds the heads of this one side by side, and how many there are.
fn side_by_side(graph: &Rewriter<'_>, value: ValueId) -> Option<(ValueId, i64)> {
    let split = transposed(graph, value, &HEADS_FIRST)?;
    let (_, reshape) = producer(graph, split, "Reshape")?;
    let whole = reshape.input(0)?;
    let [batch, positions, heads, size] = dims(graph, split)? else { return None };
    let turned = [batch, heads, positions, size].map(Dim::clone);
    merges(&turned, dims(graph, whole)?).then_some((whole, heads.as_i64()?))
}

/// Whether `merged` is `[batch, heads, positions, size]` with the heads side by side.
fn merges(apart: &[Dim], merged: &[Dim]) -> bool {
    let ([batch, heads, positions, size], [b, p, width]) = (apart, merged) else { return false };
    let whole = heads.as_usize().zip(size.as_usize()).map(|(heads, size)| heads * size);
    batch.same(b) && positions.same(p) && whole.is_some() && whole == width.as_usize()
}
