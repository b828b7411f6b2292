//! `x * cos + concat(-x[half..], x[..half]) * sin` over heads in their own axis, where both halves of the
//! angles are the same: `RotaryEmbedding`.

use remuda_ir::{Attr, Def, Node, NodeId, OpName, ValueId};
use remuda_tensor::{Dim, Tensor};

use crate::pattern::{constant, dims, is_fusible, only_producer, producer, scalar};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_rotary", apply, cases: include_str!("fuse_rotary.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(found) = found(graph, id) else { return false };
    let Found { x, output, parts, half } = found;
    let bounds = [0, half, -1].map(|number| graph.add_const("half", Tensor::vector(vec![number])));
    // The first half of each table takes the place of the product with it.
    let tables = parts.map(|(product, table)| {
        let sliced = graph.add_pending("angles");
        let inputs = [table, bounds[0], bounds[1], bounds[2]].map(Some).to_vec();
        graph.replace(product, Node::new(OpName::onnx("Slice"), inputs, vec![Some(sliced)]));
        sliced
    });
    let inputs = [x, tables[0], tables[1]].map(Some).to_vec();
    let mut node = Node::new(OpName::onnx("RotaryEmbedding"), inputs, vec![Some(output)]);
    node.attrs.set("interleaved", Attr::Int(0));
    graph.replace(id, node);
    true
}

struct Found {
    x: ValueId,
    output: ValueId,
    /// The products with the cosines and the sines, and these as batch, positions, size.
    parts: [(NodeId, ValueId); 2],
    half: i64,
}

fn found(graph: &Rewriter<'_>, id: NodeId) -> Option<Found> {
    let sum = graph.node(id).filter(|node| node.op.is_onnx("Add"))?;
    let output = sum.output(0).filter(|&output| is_fusible(graph, output))?;
    (0..2).find_map(|at| {
        let (turned_id, turned) = only_producer(graph, sum.input(1 - at)?, "Mul")?;
        let (straight_id, straight) = only_producer(graph, sum.input(at)?, "Mul")?;
        let (x, sines, half) = (0..2).find_map(|at| {
            let (x, half) = turned_by_a_quarter(graph, turned.input(at)?)?;
            Some((x, turned.input(1 - at)?, half))
        })?;
        let cosines = (0..2)
            .find_map(|at| straight.input(1 - at).filter(|_| straight.input(at) == Some(x)))?;
        let table = |value| table(graph, value, dims(graph, x)?);
        let parts = [(straight_id, table(cosines)?), (turned_id, table(sines)?)];
        Some(Found { x, output, parts, half })
    })
}

/// What a value is `concat(-x[half..], x[..half])` of, along the last axis, and half its size.
fn turned_by_a_quarter(graph: &Rewriter<'_>, value: ValueId) -> Option<(ValueId, i64)> {
    let (_, joined) = only_producer(graph, value, "Concat").filter(|(_, node)| {
        node.inputs.len() == 2 && is_last_axis(graph, node.attrs.int("axis").ok().flatten(), value)
    })?;
    let (_, negated) = only_producer(graph, joined.input(0)?, "Neg")?;
    let (back, front) = (part(graph, negated.input(0)?)?, part(graph, joined.input(1)?)?);
    let size = dims(graph, back.x)?.last()?.as_i64()?;
    let halves = front.start == 0 && back.start == front.end && back.end == size;
    let even = front.end * 2 == size && front.x == back.x;
    (halves && even).then_some((back.x, front.end))
}

fn is_last_axis(graph: &Rewriter<'_>, axis: Option<i64>, value: ValueId) -> bool {
    let rank = dims(graph, value).and_then(|dims| i64::try_from(dims.len()).ok());
    axis == Some(-1) || (axis.is_some() && axis == rank.map(|rank| rank - 1))
}

/// Places `start..end` of the last axis.
struct Part {
    x: ValueId,
    start: i64,
    end: i64,
}

fn part(graph: &Rewriter<'_>, value: ValueId) -> Option<Part> {
    let Def::Node(id, at) = graph.value(value).def else { return None };
    let node = graph.node(id)?;
    let x = node.input(0)?;
    let size = dims(graph, x)?.last()?.as_i64()?;
    if node.op.is_onnx("Split") {
        let halves = size / 2;
        let is_half = dims(graph, value)?.last()?.as_i64()? == halves;
        let last = is_last_axis(graph, Some(node.attrs.int_or("axis", 0).ok()?), x);
        let start = i64::try_from(at).ok()? * halves;
        return (is_half && last && node.outputs.len() == 2).then_some(Part {
            x,
            start,
            end: start + halves,
        });
    }
    if !node.op.is_onnx("Slice") {
        return None;
    }
    let number = |at: usize| {
        let list = constant(graph, node, at)?.to_i64_vec().ok()?;
        <[i64; 1]>::try_from(list).ok().map(|[number]| number)
    };
    let place = |number: i64| (if number < 0 { number + size } else { number }).clamp(0, size);
    let steps = node.input(4).is_none() || number(4) == Some(1);
    let last = is_last_axis(graph, number(3), x);
    (steps && last).then_some(Part { x, start: place(number(1)?), end: place(number(2)?) })
}

/// The table of batch, positions, size that is broadcast over heads, if both its halves are the same.
fn table(graph: &Rewriter<'_>, value: ValueId, of_x: &[Dim]) -> Option<ValueId> {
    let (_, spread) = producer(graph, value, "Unsqueeze")?;
    let axes = constant(graph, spread, 1)?.to_i64_vec().ok()?;
    let table = spread.input(0).filter(|_| axes == [1] || axes == [-3])?;
    let ([batch, _, positions, size], [b, p, s]) = (of_x, dims(graph, table)?) else { return None };
    let fits = batch.same(b) && positions.same(p) && size.same(s);
    (fits && halves_repeat(graph, table)).then_some(table)
}

/// Whether a value is made of two equal halves along its last axis, each element of which was treated
/// alike since.
fn halves_repeat(graph: &Rewriter<'_>, value: ValueId) -> bool {
    let mut value = value;
    loop {
        let Def::Node(id, 0) = graph.value(value).def else { return false };
        let Some(node) = graph.node(id).filter(|node| node.op.domain.is_empty()) else {
            return false;
        };
        let alike = match &*node.op.name {
            "Concat" => {
                let axis = node.attrs.int("axis").ok().flatten();
                return node.inputs.len() == 2
                    && node.input(0) == node.input(1)
                    && is_last_axis(graph, axis, value);
            }
            "Cos" | "Sin" | "Cast" => true,
            "Mul" | "Div" => scalar(graph, node, 1).is_some(),
            _ => false,
        };
        match node.input(0).filter(|_| alike) {
            Some(input) => value = input,
            None => return false,
        }
    }
}
