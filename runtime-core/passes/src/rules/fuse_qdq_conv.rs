//! A convolution between dequantised operands and a quantised result: `QLinearConv`, which stays in
//! integers. A depthwise convolution is left in floats, where it is the faster.

use remuda_ir::{Def, Node, NodeId, OpName, ValueId};

use super::fuse_conv_activation::activation;
use crate::pattern::dims;
use crate::quantized::{Quantized, bias_in_units, is_constant_of_rank};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_qdq_conv", apply, cases: include_str!("fuse_qdq_conv.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(Found { mut node, x, w, y, bias }) = found(graph, id) else { return false };
    let zeros = [&x, &w, &y].map(|side| side.zero_or_new(graph));
    node.inputs = vec![
        Some(x.value),
        Some(x.scale),
        zeros[0],
        Some(w.value),
        Some(w.scale),
        zeros[1],
        Some(y.scale),
        zeros[2],
    ];
    node.inputs.extend(bias.map(Some));
    graph.replace(id, node);
    true
}

struct Found {
    /// The new node, but for its inputs.
    node: Node,
    x: Quantized,
    w: Quantized,
    y: Quantized,
    bias: Option<ValueId>,
}

fn found(graph: &Rewriter<'_>, id: NodeId) -> Option<Found> {
    let quantize = graph.node(id)?;
    let y = Quantized::made_by(graph, quantize)?;
    let conv = convolution(graph, quantize.input(0)?, &y)?;
    let x = Quantized::behind(graph, conv.input(0)?)?;
    let w = Quantized::behind(graph, conv.input(1)?)?;
    let uniform = x.is_uniform(graph) && y.is_uniform(graph) && w.is_along(graph, 0);
    let bytes = x.is_bytes() && w.is_bytes() && y.is_bytes();
    let whole = conv.attrs.int_or("group", 1).ok()? == 1;
    let rank = dims(graph, x.value)?.len();
    let weights = is_constant_of_rank(graph, w.value, rank) && (3..=5).contains(&rank);
    if !(uniform && bytes && whole && weights) {
        return None;
    }
    let bias = match conv.input(2) {
        Some(_) => Some(bias_in_units(graph, conv, 2, (&x, &w))?),
        None => None,
    };
    let mut node = Node::new(OpName::onnx("QLinearConv"), Vec::new(), quantize.outputs.clone());
    node.name.clone_from(&conv.name);
    node.attrs = conv.attrs.clone();
    ["activation", "activation_params"].iter().for_each(|name| drop(node.attrs.take(name)));
    Some(Found { node, x, w, y, bias })
}

/// The convolution that makes a value nothing else uses, with an activation at most that quantising to
/// `y` does anyway.
fn convolution<'a>(graph: &'a Rewriter<'_>, value: ValueId, y: &Quantized) -> Option<&'a Node> {
    let made = |value: ValueId| match graph.value(value).def {
        Def::Node(id, 0) if graph.is_private(value) => graph.node(id),
        _ => None,
    };
    let clamps = |name: &str, params: &[f32]| match (name, params) {
        ("Relu", _) => y.clamps_to(graph, 0.0, f64::INFINITY),
        ("Clip", &[low, high]) => y.clamps_to(graph, f64::from(low), f64::from(high)),
        _ => false,
    };
    let node = made(value)?;
    if let Some((name, params)) = activation(graph, node) {
        return made(node.input(0)?)
            .filter(|conv| conv.op.is_onnx("Conv") && clamps(name, &params));
    }
    let fused = (&*node.op.domain, &*node.op.name) == ("remuda", "FusedConv");
    let activation = node.attrs.text("activation").ok()?.unwrap_or("");
    let params = node.attrs.floats("activation_params").ok()?.unwrap_or(&[]);
    let idle = activation.is_empty() || clamps(activation, params);
    (node.op.is_onnx("Conv") || (fused && node.input(3).is_none() && idle)).then_some(node)
}
