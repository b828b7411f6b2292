//! An activation behind a convolution: applied while its result is written.

use remuda_ir::{Attr, Node, NodeId, OpName};

use crate::pattern::{is_fusible, only_producer, scalar};
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fuse_conv_activation", apply, cases: include_str!("fuse_conv_activation.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let node = graph.node(id)?;
    let (name, params) = activation(graph, node)?;
    let input = node.input(0).filter(|&input| is_fusible(graph, input))?;
    let conv = only_producer(graph, input, "Conv").map(|(_, conv)| conv);
    let conv = conv.or_else(|| unactivated(graph, input))?;
    let mut fused =
        Node::new(OpName::new("remuda", "FusedConv"), conv.inputs.clone(), vec![node.output(0)]);
    fused.attrs = conv.attrs.clone();
    fused.attrs.set("activation", Attr::Text(name.to_owned()));
    if !params.is_empty() {
        fused.attrs.set("activation_params", Attr::Floats(params));
    }
    fused.name.clone_from(&conv.name);
    Some(fused)
}

/// A fused convolution that has no activation yet.
fn unactivated<'a>(graph: &'a Rewriter<'_>, value: remuda_ir::ValueId) -> Option<&'a Node> {
    let remuda_ir::Def::Node(id, 0) = graph.value(value).def else { return None };
    let node = graph
        .node(id)
        .filter(|node| &*node.op.domain == "remuda" && &*node.op.name == "FusedConv")?;
    let free = node.attrs.text("activation").ok()?.is_none() && graph.is_private(value);
    free.then_some(node)
}

/// The activation that a node applies, as fused operators name it, with its parameters.
#[expect(clippy::cast_possible_truncation, reason = "bounds of 32-bit values")]
pub(super) fn activation(graph: &Rewriter<'_>, node: &Node) -> Option<(&'static str, Vec<f32>)> {
    if !node.op.domain.is_empty() {
        return None;
    }
    let float = |name: &str, default: f32| node.attrs.float_or(name, default).ok();
    Some(match &*node.op.name {
        "Relu" => ("Relu", vec![]),
        "Sigmoid" => ("Sigmoid", vec![]),
        "Tanh" => ("Tanh", vec![]),
        "HardSwish" => ("HardSwish", vec![]),
        "HardSigmoid" => ("HardSigmoid", vec![float("alpha", 0.2)?, float("beta", 0.5)?]),
        "LeakyRelu" => ("LeakyRelu", vec![float("alpha", 0.01)?]),
        "Swish" => ("Swish", vec![float("alpha", 1.0)?]),
        "Gelu" if node.attrs.text_or("approximate", "none").ok()? == "tanh" => ("GeluTanh", vec![]),
        "Gelu" => ("Gelu", vec![]),
        "Clip" => {
            let bound = |at: usize, default: f32| match node.input(at) {
                None => Some(default),
                Some(_) => scalar(graph, node, at).map(|value| value as f32),
            };
            ("Clip", vec![bound(1, f32::MIN)?, bound(2, f32::MAX)?])
        }
        _ => return None,
    })
}
