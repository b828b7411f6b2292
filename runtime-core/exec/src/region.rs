//! Cuts the nodes of one part out of a graph, as a graph of its own.
//!
//! Values keep their names and types, with symbolic dimensions; constants are shared by reference;
//! bodies come along with the nodes that own them.

use remuda_base::{Map, Set};
use remuda_ir::{Def, Graph, Node, NodeId, ValueId};

/// A part of a graph as a graph, and which values of the whole its inputs, outputs and states are.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) graph: Graph,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) states: Vec<ValueId>,
}

/// Cuts `nodes` (in an order in which they can run) out of `graph`. `wanted` says of a value whether
/// somebody outside needs it.
pub(crate) fn extract(graph: &Graph, nodes: &[NodeId], wanted: impl Fn(ValueId) -> bool) -> Region {
    let (to, place) = (Graph::new(&graph.name), Map::new());
    let mut cut = Cut { from: graph, to, place, inputs: vec![], states: vec![] };
    let own: Vec<&Node> = nodes.iter().filter_map(|&id| graph.node(id)).collect();
    let made: Set<ValueId> =
        own.iter().flat_map(|node| node.outputs.iter().flatten().copied()).collect();
    for node in &own {
        for used in node.uses() {
            cut.bring(used, made.contains(&used));
        }
        for &output in node.outputs.iter().flatten() {
            cut.bring(output, true);
        }
    }
    let mut outputs = Vec::new();
    for node in &own {
        let copy = cut.copy(node);
        cut.to.push(copy);
        for &output in node.outputs.iter().flatten().filter(|&&output| wanted(output)) {
            outputs.push(output);
            cut.to.outputs.push(cut.place[&output]);
        }
    }
    Region { graph: cut.to, inputs: cut.inputs, outputs, states: cut.states }
}

struct Cut<'g> {
    from: &'g Graph,
    to: Graph,
    place: Map<ValueId, ValueId>,
    inputs: Vec<ValueId>,
    states: Vec<ValueId>,
}

impl Cut<'_> {
    /// Makes a value known in the region.
    fn bring(&mut self, id: ValueId, made_here: bool) {
        if self.place.contains_key(&id) {
            return;
        }
        let value = self.from.value(id);
        let ty = value.ty.clone();
        let new = match &value.def {
            Def::Const(tensor) => self.to.add_value(&value.name, ty, Def::Const(tensor.clone())),
            Def::State => {
                self.states.push(id);
                self.to.add_value(&value.name, ty, Def::State)
            }
            _ if made_here => self.to.add_value(&value.name, ty, Def::Nothing),
            _ => {
                self.inputs.push(id);
                self.to.add_input(&value.name, ty)
            }
        };
        self.place.insert(id, new);
    }

    fn copy(&self, node: &Node) -> Node {
        let mut copy = node.clone();
        let map = |id: &mut ValueId| *id = self.place[id];
        copy.inputs.iter_mut().flatten().for_each(map);
        copy.outputs.iter_mut().flatten().for_each(map);
        for body in copy.attrs.bodies_mut() {
            body.captures.iter_mut().for_each(map);
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::extract;
    use remuda_ir::{Val, infer_graph, text, verify};
    use remuda_tensor::Tensor;

    #[test]
    fn a_region_runs_alone_with_bodies_and_constants() {
        let source = r#"graph "g" {
  input %x: f32[n]
  input %c: bool[]
  const %w: f32[1] = x0000003f
  %a = Neg(%x)
  %b = Add(%a, %w)
  %y = If(%c) {else_branch = graph "e" {
    capture %b2: f32[n]
    %e = Neg(%b2)
    output %e
  } (%b), then_branch = graph "t" {
    capture %b3: f32[n]
    %t = Abs(%b3)
    output %t
  } (%b)}
  output %y
}"#;
        let mut graph = text::parse(source).unwrap();
        verify(&graph, &remuda_ops::Ops).unwrap();
        infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
        let region = extract(&graph, &graph.order()[1..], |id| graph.outputs.contains(&id));
        verify(&region.graph, &remuda_ops::Ops).unwrap();
        let a = Val::from(Tensor::vector(vec![-2.0f32]));
        let made = remuda_ops::interpret(&region.graph, &[a, Tensor::scalar(true).into()]).unwrap();
        assert_eq!(made, [Val::from(Tensor::vector(vec![1.5f32]))]);
    }
}
