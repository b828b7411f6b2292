//! Regions with the sizes of a run, for providers that prepare one program for each set of them.

use remuda_ir::{Def, Graph, ValueId, ValueType};
use remuda_tensor::{Dim, Tensor, TensorType};

/// Inputs of nodes whose content says what dimensions come out.
const SHAPING: &[(&str, usize)] =
    &[("Expand", 1), ("Reshape", 1), ("Squeeze", 1), ("Tile", 1), ("Unsqueeze", 1)];

/// The inputs of a region whose content decides sizes, by their places.
#[must_use]
pub fn shaping_inputs(region: &Graph) -> Vec<usize> {
    let shapes = |id: ValueId| {
        region.nodes().any(|(_, node)| {
            let used =
                |(op, at): &(&str, usize)| node.op.is_onnx(op) && node.input(*at) == Some(id);
            SHAPING.iter().any(used)
        })
    };
    (0..region.inputs.len()).filter(|&at| shapes(region.inputs[at])).collect()
}

/// A region with the sizes of its inputs in a run, and what [`shaping_inputs`] hold as constants; the
/// types of all that its nodes make are to be inferred anew.
#[must_use]
pub fn with_sizes(region: &Graph, shaping: &[usize], inputs: &[Tensor]) -> Graph {
    let mut graph = region.clone();
    let made: Vec<ValueId> = graph
        .values()
        .filter(|(_, value)| matches!(value.def, Def::Node(..)))
        .map(|(id, _)| id)
        .collect();
    made.into_iter().for_each(|id| graph.forget_type(id));
    for (at, (id, tensor)) in graph.inputs.clone().into_iter().zip(inputs).enumerate() {
        if shaping.contains(&at) {
            graph.set_const(id, tensor.clone());
            continue;
        }
        let dims = tensor.dims().iter().map(|&dim| Dim::from(dim));
        graph.set_type(id, ValueType::Tensor(TensorType::new(tensor.dtype(), dims)));
    }
    graph
}
