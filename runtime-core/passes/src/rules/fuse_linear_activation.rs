//! An activation behind a fused product: applied while its result is written.

use remuda_ir::{Attr, Def, Node, NodeId};

use super::fuse_conv_activation::activation;
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule = Rule {
    name: "fuse_linear_activation",
    apply,
    cases: include_str!("fuse_linear_activation.rir"),
};

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = fused(graph, id) else { return false };
    graph.replace(id, node);
    true
}

fn fused(graph: &Rewriter<'_>, id: NodeId) -> Option<Node> {
    let node = graph.node(id)?;
    let (name, params) = activation(graph, node)?;
    let input = node.input(0).filter(|&input| graph.is_private(input))?;
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
    fits.then_some(fused)
}
