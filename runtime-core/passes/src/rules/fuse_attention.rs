//! `softmax(scale * Q K^T + mask) V` over heads in their own axis: `Attention`. The factor may stand behind
//! the product or before either side of it, as a multiplication or a division.

use remuda_ir::{Attr, Graph, Node, NodeId, OpName, ValueId};
use remuda_tensor::{DType, Dim};

use crate::pattern::{dims, dtype, only_producer, transposed, unscaled};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_attention", apply, cases: include_str!("fuse_attention.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(found) = found(graph, id) else { return false };
    let Some(product) = graph.node(id) else { return false };
    let (value, outputs) = (product.input(1), product.outputs.clone());
    let mut inputs = vec![Some(found.query), Some(found.key.value()), value];
    inputs.extend(found.mask.map(Some));
    let mut node = Node::new(OpName::onnx("Attention"), inputs, outputs);
    node.attrs.set("scale", Attr::Float(found.scale));
    let turned = match found.key {
        Key::HeadsFirst(_) => None,
        Key::PositionsFirst(key) => {
            let turned = graph.add_pending("key");
            node.inputs[1] = Some(turned);
            let mut turn =
                Node::new(OpName::onnx("Transpose"), vec![Some(key)], vec![Some(turned)]);
            turn.attrs.set("perm", Attr::Ints(vec![0, 2, 1, 3]));
            Some(turn)
        }
    };
    graph.replace(id, node);
    if let Some(turn) = turned {
        // The softmax stood before the product that is replaced, and behind the keys.
        graph.replace(found.softmax, turn);
    }
    true
}

/// Keys, whose transposition is part of what is fused.
#[derive(Clone, Copy)]
enum Key {
    /// Batch, heads, positions, size.
    HeadsFirst(ValueId),
    /// Batch, positions, heads, size.
    PositionsFirst(ValueId),
}

impl Key {
    fn value(self) -> ValueId {
        match self {
            Self::HeadsFirst(value) | Self::PositionsFirst(value) => value,
        }
    }

    /// Batch, heads, positions, size.
    fn dims(self, graph: &Graph) -> Option<[&Dim; 4]> {
        Some(match (self, dims(graph, self.value())?) {
            (Self::HeadsFirst(_), [b, h, t, d]) | (Self::PositionsFirst(_), [b, t, h, d]) => {
                [b, h, t, d]
            }
            _ => return None,
        })
    }
}

struct Found {
    softmax: NodeId,
    query: ValueId,
    key: Key,
    mask: Option<ValueId>,
    scale: f32,
}

fn found(graph: &Rewriter<'_>, id: NodeId) -> Option<Found> {
    let product = graph.node(id).filter(|node| node.op.is_onnx("MatMul"))?;
    let (softmax, weights) = only_producer(graph, product.input(0)?, "Softmax")?;
    let axis = weights.attrs.int_or("axis", -1).ok()?;
    let given = weights.input(0).filter(|_| axis == -1 || axis == 3)?;
    let (scores, mask) = match only_producer(graph, given, "Add") {
        Some((_, sum)) => (0..2).find_map(|at| {
            let scores = Scores::new(graph, sum.input(at)?)?;
            Some((scores, Some(sum.input(1 - at)?)))
        })?,
        None => (Scores::new(graph, given)?, None),
    };
    let Scores { query, key, scale } = scores;
    let value = product.input(1)?;
    let dtype_of = |value| dtype(graph, value).filter(|ty| matches!(ty, DType::F32 | DType::F16));
    let ty = dtype_of(query)?;
    let typed = [Some(key.value()), Some(value), mask];
    let typed = typed.into_iter().flatten().all(|value| dtype_of(value) == Some(ty));
    let fits = typed && fit(graph, query, key, value)? && mask_fits(graph, mask, query, key)?;
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit attribute")]
    let scale = scale as f32;
    // Zero stands for the factor that is usual.
    (fits && scale.is_finite() && scale != 0.0).then_some(Found {
        softmax,
        query,
        key,
        mask,
        scale,
    })
}

struct Scores {
    query: ValueId,
    key: Key,
    scale: f64,
}

impl Scores {
    fn new(graph: &Rewriter<'_>, value: ValueId) -> Option<Self> {
        let (scores, behind) = unscaled(graph, value);
        let (_, product) = only_producer(graph, scores, "MatMul")?;
        let (query, of_query) = unscaled(graph, product.input(0)?);
        let (turned, of_key) = unscaled(graph, product.input(1)?);
        let key = match transposed(graph, turned, &[0, 1, 3, 2]) {
            Some(key) => Key::HeadsFirst(key),
            None => Key::PositionsFirst(transposed(graph, turned, &[0, 2, 3, 1])?),
        };
        Some(Self { query, key, scale: behind * of_query * of_key })
    }
}

/// Whether batches, heads and positions are the same without broadcasting.
fn fit(graph: &Rewriter<'_>, query: ValueId, key: Key, value: ValueId) -> Option<bool> {
    let ([batch, heads, _, size], [b, h, t, d], [b2, h2, t2, _]) =
        (dims(graph, query)?, key.dims(graph)?, dims(graph, value)?)
    else {
        return None;
    };
    let pairs = [(batch, b), (batch, b2), (heads, h), (heads, h2), (t, t2), (size, d)];
    Some(pairs.iter().all(|(a, b)| a.same(b)))
}

/// Whether a mask broadcasts to the scores, without making them larger, and names every key.
fn mask_fits(
    graph: &Rewriter<'_>,
    mask: Option<ValueId>,
    query: ValueId,
    key: Key,
) -> Option<bool> {
    let Some(mask) = mask else { return Some(true) };
    let ([batch, heads, queries, _], [_, _, keys, _]) = (dims(graph, query)?, key.dims(graph)?)
    else {
        return None;
    };
    let (last, outer) = dims(graph, mask)?.split_last()?;
    let scores = [batch, heads, queries];
    let outer_fits = outer.len() <= scores.len()
        && outer
            .iter()
            .rev()
            .zip(scores.into_iter().rev())
            .all(|(dim, of_scores)| *dim == Dim::Known(1) || dim.same(of_scores));
    Some(outer_fits && last.same(keys))
}
