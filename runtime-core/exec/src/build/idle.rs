//! What makes nothing in any run of a class: nodes whose results have no elements then, such as those of an
//! encoder in steps without a prompt. The CPU, which is given them, gets the results instead, so that it holds
//! none of the weights.

use remuda_base::{Map, Set};
use remuda_ir::{Def, Graph, NodeId, ValueId};
use remuda_tensor::{Dim, Tensor};

use super::pieces::Piece;
use crate::options::ShapeClass;

/// The dimension that is zero in all runs of each class, if there is one; none of the last, which is followed by
/// runs that no class wants, too.
pub(super) fn absent(classes: &[ShapeClass]) -> Vec<Option<String>> {
    let of_class = |class: &ShapeClass| {
        class.up_to.iter().find(|(_, most)| *most == 0).map(|(name, _)| name.clone())
    };
    let mut absent: Vec<Option<String>> = classes.iter().map(of_class).collect();
    if let Some(last) = absent.last_mut() {
        *last = None;
    }
    absent
}

/// Takes such nodes out of the pieces that run on `target`, unless classes that make something of them have
/// their weights there anyway. Gives the results, for each class.
pub(super) fn take_out(
    graph: &Graph,
    pieces: &mut [Vec<Piece>],
    absent: &[Option<String>],
    target: usize,
) -> Vec<Map<ValueId, Tensor>> {
    let is_idle = |class: usize, id: NodeId| nothing(graph, id, absent.get(class)?.as_deref()?);
    let mut busy: Set<NodeId> = Set::new();
    for (class, pieces) in pieces.iter().enumerate() {
        let there = pieces.iter().filter(|piece| piece.target == target);
        let nodes = there.flat_map(|piece| piece.nodes.iter().copied());
        busy.extend(nodes.filter(|&id| is_idle(class, id).is_none()));
    }
    let mut results = vec![Map::new(); pieces.len()];
    for (class, pieces) in pieces.iter_mut().enumerate() {
        for piece in pieces.iter_mut().filter(|piece| piece.target == target) {
            piece.nodes.retain(|id| match is_idle(class, *id).filter(|_| !busy.contains(id)) {
                Some(made) => {
                    results[class].extend(made);
                    false
                }
                None => true,
            });
        }
    }
    results
}

/// The results of a node where a dimension is zero, if none of them has an element then.
fn nothing(graph: &Graph, id: NodeId, name: &str) -> Option<Vec<(ValueId, Tensor)>> {
    let node = graph.node(id)?;
    if node.uses().any(|id| matches!(graph.value(id).def, Def::State)) {
        return None;
    }
    let empty = |&id: &ValueId| {
        let ty = graph.value(id).ty.as_ref()?.as_tensor()?;
        let size =
            |dim: &Dim| dim.substitute(&|of| (of == name).then_some(Dim::Known(0))).as_usize();
        let dims: Vec<usize> = ty.dims.as_ref()?.iter().map(size).collect::<Option<_>>()?;
        let tensor = Tensor::zeros(ty.dtype, dims).ok().filter(|tensor| tensor.len() == 0)?;
        Some((id, tensor))
    };
    node.outputs.iter().flatten().map(empty).collect()
}
