//! Gelu, in the orders in which exporters write it: `x * gate / 2` with the gate `1 + erf(x / sqrt 2)`, or
//! the one that stands for it, `1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))`.

use std::f64::consts::{FRAC_2_PI, SQRT_2};

use remuda_ir::{Attr, Node, NodeId, OpName, ValueId};

use crate::pattern::{close, only_producer, same_rank, scalar, scalar_operand};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_gelu", apply, cases: include_str!("fuse_gelu.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let exact = gated(graph, id, is_one_plus_erf);
    let approximate = || gated(graph, id, is_one_plus_tanh);
    let Some((x, output)) = exact.or_else(approximate) else { return false };
    let mut gelu = Node::new(OpName::onnx("Gelu"), vec![Some(x)], vec![Some(output)]);
    if exact.is_none() {
        gelu.attrs.set("approximate", Attr::Text("tanh".into()));
    }
    graph.replace(id, gelu);
    true
}

/// Whether a value is the gate of another one.
type Gate = fn(&Rewriter<'_>, ValueId, ValueId) -> bool;

/// The argument of the function whose last node this is.
fn gated(graph: &Rewriter<'_>, id: NodeId, is_gate: Gate) -> Option<(ValueId, ValueId)> {
    let last = graph.node(id).filter(|node| node.op.is_onnx("Mul"))?;
    let output = last.output(0)?;
    let x = halved_last(graph, last, is_gate).or_else(|| halved_before(graph, last, is_gate))?;
    same_rank(graph, x, output).then_some((x, output))
}

/// `(x * gate) * 0.5`.
fn halved_last(graph: &Rewriter<'_>, last: &Node, is_gate: Gate) -> Option<ValueId> {
    let (product, _) = scalar_operand(graph, last).filter(|(_, half)| close(*half, 0.5))?;
    let (_, product) = only_producer(graph, product, "Mul")?;
    one_of(product, |x, gate| is_gate(graph, gate, x))
}

/// `(x * 0.5) * gate` or `x * (0.5 * gate)`.
fn halved_before(graph: &Rewriter<'_>, last: &Node, is_gate: Gate) -> Option<ValueId> {
    (0..2).find_map(|at| {
        let (a, b) = (last.input(at)?, last.input(1 - at)?);
        let (_, scaled) = only_producer(graph, a, "Mul")?;
        let (inner, _) = scalar_operand(graph, scaled).filter(|(_, half)| close(*half, 0.5))?;
        if is_gate(graph, b, inner) {
            return Some(inner);
        }
        is_gate(graph, inner, b).then_some(b)
    })
}

/// The input of a node of two for which `fits(it, the other)`.
fn one_of(node: &Node, fits: impl Fn(ValueId, ValueId) -> bool) -> Option<ValueId> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    if fits(a, b) { Some(a) } else { fits(b, a).then_some(b) }
}

/// The argument of this function in `1 + function(argument)`.
fn one_plus(graph: &Rewriter<'_>, value: ValueId, function: &str) -> Option<ValueId> {
    let (_, sum) = only_producer(graph, value, "Add")?;
    let (function_of, _) = scalar_operand(graph, sum).filter(|(_, one)| close(*one, 1.0))?;
    only_producer(graph, function_of, function)?.1.input(0)
}

/// Whether a value is `1 + erf(x / sqrt 2)`.
fn is_one_plus_erf(graph: &Rewriter<'_>, value: ValueId, x: ValueId) -> bool {
    let found = one_plus(graph, value, "Erf").and_then(|argument| {
        let divided = only_producer(graph, argument, "Div")
            .and_then(|(_, div)| Some((div.input(0)?, 1.0 / scalar(graph, div, 1)?)));
        divided.or_else(|| scaled(graph, argument))
    });
    found.is_some_and(|(inner, factor)| inner == x && close(factor, 1.0 / SQRT_2))
}

/// Whether a value is `1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))`.
fn is_one_plus_tanh(graph: &Rewriter<'_>, value: ValueId, x: ValueId) -> bool {
    let found = one_plus(graph, value, "Tanh").and_then(|argument| {
        let (sum, _) =
            scaled(graph, argument).filter(|(_, factor)| close(*factor, FRAC_2_PI.sqrt()))?;
        let (_, sum) = only_producer(graph, sum, "Add")?;
        one_of(sum, |inner, cubic| {
            let cube = scaled(graph, cubic).filter(|(_, factor)| close(*factor, 0.044_715));
            inner == x && cube.is_some_and(|(cube, _)| is_cube(graph, cube, x))
        })
    });
    found.is_some()
}

/// A value and the constant number that it is multiplied with.
fn scaled(graph: &Rewriter<'_>, value: ValueId) -> Option<(ValueId, f64)> {
    scalar_operand(graph, only_producer(graph, value, "Mul")?.1)
}

/// Whether a value is `x^3`, or `x * (x * x)`.
fn is_cube(graph: &Rewriter<'_>, value: ValueId, x: ValueId) -> bool {
    if let Some((_, power)) = only_producer(graph, value, "Pow") {
        return power.input(0) == Some(x) && scalar(graph, power, 1) == Some(3.0);
    }
    let square = |value| {
        let product = only_producer(graph, value, "Mul");
        product.is_some_and(|(_, square)| square.uses().all(|factor| factor == x))
    };
    let product = only_producer(graph, value, "Mul");
    let found = product.and_then(|(_, node)| one_of(node, |a, b| a == x && square(b)));
    found.is_some()
}
