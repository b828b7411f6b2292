//! `x * (1 + erf(x / sqrt 2)) / 2`, in the orders in which exporters write it: Gelu.

use remuda_ir::{Node, NodeId, OpName, ValueId};
use std::f64::consts::SQRT_2;

use crate::pattern::{close, only_producer, scalar, scalar_operand};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_gelu", apply, cases: include_str!("fuse_gelu.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some((x, output)) = gelu(graph, id) else { return false };
    graph.replace(id, Node::new(OpName::onnx("Gelu"), vec![Some(x)], vec![Some(output)]));
    true
}

/// The argument of the function whose last node this is.
fn gelu(graph: &Rewriter<'_>, id: NodeId) -> Option<(ValueId, ValueId)> {
    let last = graph.node(id).filter(|node| node.op.is_onnx("Mul"))?;
    let output = last.output(0)?;
    // (x * (1 + erf)) * 0.5
    if let Some((product, _)) = scalar_operand(graph, last).filter(|(_, half)| close(*half, 0.5)) {
        let (_, product) = only_producer(graph, product, "Mul")?;
        return Some((one_of(product, |x, other| is_one_plus_erf(graph, other, x))?, output));
    }
    // (x * 0.5) * (1 + erf), or x * (0.5 * (1 + erf))
    let x = (0..2).find_map(|at| {
        let (a, b) = (last.input(at)?, last.input(1 - at)?);
        if let Some((_, scaled)) = only_producer(graph, a, "Mul")
            && let Some((inner, half)) = scalar_operand(graph, scaled)
            && close(half, 0.5)
        {
            if is_one_plus_erf(graph, b, inner) {
                return Some(inner);
            }
            if is_one_plus_erf(graph, inner, b) {
                return Some(b);
            }
        }
        None
    });
    Some((x?, output))
}

/// The input of a node of two for which `fits(it, the other)`.
fn one_of(node: &Node, fits: impl Fn(ValueId, ValueId) -> bool) -> Option<ValueId> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    if fits(a, b) { Some(a) } else { fits(b, a).then_some(b) }
}

/// Whether a value is `1 + erf(x / sqrt 2)`.
fn is_one_plus_erf(graph: &Rewriter<'_>, value: ValueId, x: ValueId) -> bool {
    let found = only_producer(graph, value, "Add").and_then(|(_, sum)| {
        let (erf, one) = scalar_operand(graph, sum)?;
        let (_, erf) = only_producer(graph, erf, "Erf").filter(|_| close(one, 1.0))?;
        let argument = erf.input(0)?;
        let divided = only_producer(graph, argument, "Div")
            .and_then(|(_, div)| Some((div.input(0)?, 1.0 / scalar(graph, div, 1)?)));
        let scaled = || {
            only_producer(graph, argument, "Mul").and_then(|(_, mul)| scalar_operand(graph, mul))
        };
        divided.or_else(scaled)
    });
    found.is_some_and(|(inner, factor)| inner == x && close(factor, 1.0 / SQRT_2))
}
