//! Values that need not lie together, because all that read them go by their strides.
//!
//! Products walk their operands by strides anyway, so a transpose in front of one is best left a
//! view. Everybody else reads rows, and would copy a view less cleverly than a transpose does.

use remuda_ir::{Graph, Node};
use remuda_tensor::DType;

/// For each value of a graph whether only products of f32 read it.
pub(super) fn strided_values(graph: &Graph) -> Vec<bool> {
    let is_f32 =
        |ty: &remuda_ir::ValueType| ty.as_tensor().is_some_and(|ty| ty.dtype == DType::F32);
    let mut strided: Vec<bool> =
        graph.values().map(|(_, value)| value.ty.as_ref().is_some_and(is_f32)).collect();
    graph.outputs.iter().for_each(|output| strided[output.index()] = false);
    for (_, node) in graph.nodes() {
        for (at, used) in node.inputs.iter().enumerate() {
            if let Some(used) = used.filter(|_| !goes_by_strides(node, at)) {
                strided[used.index()] = false;
            }
        }
        let captured = node.attrs.bodies().flat_map(|(_, body)| body.captures.iter());
        captured.for_each(|used| strided[used.index()] = false);
    }
    strided
}

fn goes_by_strides(node: &Node, at: usize) -> bool {
    let op = (&*node.op.domain, &*node.op.name);
    let product =
        matches!(op, ("", "MatMul") | ("com.microsoft", "FusedMatMul") | ("remuda", "FusedLinear"));
    product && at < 2
}
