//! An activation behind a fused product: applied while its result is written.

use remuda_ir::{Attr, Def, Graph, Node, NodeId};

use super::fuse_conv_activation::activation;
use crate::Rule;
use crate::pattern::{is_private, replace};

pub(crate) static RULE: Rule = Rule {
    name: "fuse_linear_activation",
    apply,
    cases: include_str!("fuse_linear_activation.rir"),
};

fn apply(graph: &mut Graph, id: NodeId) -> bool {
    let Some((product, node)) = fused(graph, id) else { return false };
    graph.remove(product);
    replace(graph, id, node);
    true
}

fn fused(graph: &Graph, id: NodeId) -> Option<(NodeId, Node)> {
    let node = graph.node(id)?;
    let (name, params) = activation(graph, node)?;
    let input = node.input(0).filter(|&input| is_private(graph, input))?;
    let Def::Node(product, 0) = graph.value(input).def else { return None };
    let linear = graph.node(product)?;
    let fits = &*linear.op.domain == "remuda"
        && &*linear.op.name == "FusedLinear"
        && linear.attrs.text("activation").ok()?.is_none();
    let mut fused = Node { outputs: vec![node.output(0)], ..linear.clone() };
    fused.attrs.set("activation", Attr::Text(name.to_owned()));
    if !params.is_empty() {
        fused.attrs.set("activation_params", Attr::Floats(params));
    }
    fits.then_some((product, fused))
}
