//! What makes nothing in any run of a class: nodes whose results have no elements then, such as those of an
//! encoder in steps without a prompt. The CPU, which is given them, gets the results instead, so that it holds
//! none of the weights.

use remuda_base::{Map, Set};
use remuda_ir::{Def, Graph, Node, NodeId, ValueId};
use remuda_tensor::{Dim, Tensor};

use super::pieces::Piece;
use crate::options::ShapeClass;

/// The dimension that is zero in all runs of each class, if there is one.
pub(super) fn absent(classes: &[ShapeClass]) -> Vec<Option<String>> {
    let of_class = |class: &ShapeClass| match &class.up_to {
        Some((name, 0)) => Some(name.clone()),
        _ => None,
    };
    classes.iter().map(of_class).collect()
}

/// Takes such nodes out of the pieces that run on `target`, unless other classes have their weights there
/// anyway. Gives the results, for each class.
pub(super) fn take_out(
    graph: &Graph,
    pieces: &mut [Vec<Piece>],
    absent: &[Option<String>],
    target: usize,
) -> Vec<Map<ValueId, Tensor>> {
    let there = |pieces: &[Piece]| -> Set<NodeId> {
        let there = pieces.iter().filter(|piece| piece.target == target);
        there.flat_map(|piece| piece.nodes.iter().copied()).collect()
    };
    let nodes: Vec<Set<NodeId>> = pieces.iter().map(|pieces| there(pieces)).collect();
    let mut results = vec![Map::new(); pieces.len()];
    for (class, name) in absent.iter().enumerate() {
        let (Some(name), Some(own)) = (name, pieces.get_mut(class)) else { continue };
        let others = nodes.iter().enumerate().filter(|&(other, _)| other != class);
        let others: Set<NodeId> = others.flat_map(|(_, nodes)| nodes.iter().copied()).collect();
        for piece in own.iter_mut().filter(|piece| piece.target == target) {
            piece.nodes.retain(|id| {
                let node = graph.node(*id).filter(|_| !others.contains(id));
                let made = node.and_then(|node| nothing(graph, node, name));
                let is_idle = made.is_some();
                results[class].extend(made.into_iter().flatten());
                !is_idle
            });
        }
    }
    results
}

/// The results of a node where a dimension is zero, if none of them has an element then.
fn nothing(graph: &Graph, node: &Node, name: &str) -> Option<Vec<(ValueId, Tensor)>> {
    if node.uses().any(|id| matches!(graph.value(id).def, Def::State)) {
        return None;
    }
    let empty = |&id: &ValueId| {
        let ty = graph.value(id).ty.as_ref()?.as_tensor()?;
        let size = |dim: &Dim| dim.substitute(&|of| (of == name).then(|| Dim::Known(0))).as_usize();
        let dims: Vec<usize> = ty.dims.as_ref()?.iter().map(size).collect::<Option<_>>()?;
        let tensor = Tensor::zeros(ty.dtype, dims).ok().filter(|tensor| tensor.len() == 0)?;
        Some((id, tensor))
    };
    node.outputs.iter().flatten().map(empty).collect()
}
