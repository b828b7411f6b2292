//! `(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias` over the last axis:
//! `LayerNormalization`.

use remuda_ir::{Attr, Node, NodeId, OpName, ValueId};

use crate::pattern::{constant, dims, only_producer, producer, scalar, scalar_operand};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_layer_norm", apply, cases: include_str!("fuse_layer_norm.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let last = graph.node(id)?;
    let (output, normal, bias) = match &*last.op.name {
        "Add" if last.op.is_onnx("Add") => {
            let (scaled, bias) =
                with_vector(graph, last).filter(|(it, _)| graph.is_private(*it))?;
            let normal = over_root_mean_square(graph, scaled)
                .or_else(|| without_bias(graph, scaled))
                .or_else(|| plain(graph, scaled))?;
            (last.output(0)?, normal, Some(bias))
        }
        "RMSNormalization" => {
            let output = last.output(0)?;
            (output, over_root_mean_square(graph, output)?, None)
        }
        _ => return None,
    };
    let Normal { x, scale, epsilon } = normal;
    let length = dims(graph, x)?.last()?.as_usize()?;
    let fits = |value: ValueId| {
        graph.value(value).constant().is_some_and(|vector| vector.dims() == [length])
    };
    if !fits(scale) || bias.is_some_and(|bias| !fits(bias)) {
        return None;
    }
    let mut inputs = vec![Some(x), Some(scale)];
    inputs.extend(bias.map(Some));
    let mut node = Node::new(OpName::onnx("LayerNormalization"), inputs, vec![Some(output)]);
    node.attrs.set("axis", Attr::Int(-1));
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit attribute")]
    node.attrs.set("epsilon", Attr::Float(epsilon as f32));
    Some(node)
}

/// What is normalised, the factors, and what is added under the root.
struct Normal {
    x: ValueId,
    scale: ValueId,
    epsilon: f64,
}

/// `(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale`.
fn plain(graph: &Rewriter<'_>, scaled: ValueId) -> Option<Normal> {
    let (_, product) = only_producer(graph, scaled, "Mul")?;
    let (normal, scale) = with_vector(graph, product)?;
    let (_, quotient) = only_producer(graph, normal, "Div")?;
    let (centred, deviation) = (quotient.input(0)?, quotient.input(1)?);
    let (_, root) = only_producer(graph, deviation, "Sqrt")?;
    let (_, padded) = only_producer(graph, root.input(0)?, "Add")?;
    let (variance, epsilon) = scalar_operand(graph, padded)?;
    let squared = root_of(graph, variance_of(graph, variance)?)?;
    let x = centred_on_mean(graph, centred)?;
    (centred_on_mean(graph, squared) == Some(x)).then_some(Normal { x, scale, epsilon })
}

/// The same, all of which was fused before.
fn without_bias(graph: &Rewriter<'_>, scaled: ValueId) -> Option<Normal> {
    let (_, norm) = only_producer(graph, scaled, "LayerNormalization")?;
    let single = norm.outputs.iter().skip(1).all(Option::is_none);
    let bare = norm.input(2).is_none() && norm.attrs.int_or("axis", -1).ok()? == -1;
    let epsilon = f64::from(norm.attrs.float_or("epsilon", 1e-5).ok()?);
    let normal = Normal { x: norm.input(0)?, scale: norm.input(1)?, epsilon };
    (single && bare).then_some(normal)
}

/// The same, of which the part behind the difference from the mean was fused before.
fn over_root_mean_square(graph: &Rewriter<'_>, scaled: ValueId) -> Option<Normal> {
    let (_, rms) = producer(graph, scaled, "RMSNormalization")?;
    let x = centred_on_mean(graph, rms.input(0)?)?;
    let epsilon = f64::from(rms.attrs.float_or("epsilon", 1e-5).ok()?);
    let last = rms.attrs.int_or("axis", -1).ok()? == -1;
    Some(Normal { x, scale: rms.input(1)?, epsilon }).filter(|_| last)
}

/// Of a node of two inputs: the computed one and the constant one.
pub(super) fn with_vector(graph: &Rewriter<'_>, node: &Node) -> Option<(ValueId, ValueId)> {
    (0..2)
        .find_map(|at| constant(graph, node, at).and(Some((node.input(1 - at)?, node.input(at)?))))
}

/// What a mean over the last axis is taken of, where nothing else uses it.
pub(super) fn variance_of(graph: &Rewriter<'_>, value: ValueId) -> Option<ValueId> {
    mean_of(graph, value).filter(|_| graph.is_private(value))
}

/// What a mean over the last axis is taken of.
fn mean_of(graph: &Rewriter<'_>, value: ValueId) -> Option<ValueId> {
    let (_, mean) = producer(graph, value, "ReduceMean")?;
    let x = mean.input(0)?;
    let rank = i64::try_from(dims(graph, x)?.len()).ok()?;
    let axes = constant(graph, mean, 1)?.to_i64_vec().ok()?;
    let keeps = mean.attrs.bool_or("keepdims", true).ok()?;
    (keeps && (axes == [-1] || axes == [rank - 1])).then_some(x)
}

/// What a difference from the own mean is taken of.
fn centred_on_mean(graph: &Rewriter<'_>, value: ValueId) -> Option<ValueId> {
    let (_, difference) = producer(graph, value, "Sub")?;
    let x = difference.input(0)?;
    (mean_of(graph, difference.input(1)?) == Some(x)).then_some(x)
}

/// What a value is the square of, where nothing else uses it.
pub(super) fn root_of(graph: &Rewriter<'_>, square: ValueId) -> Option<ValueId> {
    if let Some((_, power)) = only_producer(graph, square, "Pow") {
        return power.input(0).filter(|_| scalar(graph, power, 1) == Some(2.0));
    }
    let (_, product) = only_producer(graph, square, "Mul")?;
    product.input(0).filter(|&factor| product.input(1) == Some(factor))
}
