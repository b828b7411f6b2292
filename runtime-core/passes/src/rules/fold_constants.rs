//! Nodes whose inputs are all constants, and shapes that are known: computed once, here.

use remuda_ir::{Def, Node, NodeId, Val};
use remuda_tensor::Tensor;

use crate::pattern::dims;
use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fold_constants", apply, cases: include_str!("fold_constants.rir") };

/// Larger constants are weights, which stay unread until the first run: a provider computes what follows
/// from them alone once, then.
const MAX_READ_BYTES: usize = 1 << 20;

/// Results that grow beyond their inputs are kept only up to this: a repeated constant must not make
/// the model large.
const MAX_GROWN_BYTES: usize = 1 << 16;

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(node) = graph.node(id).cloned() else { return false };
    let Some(def) = remuda_ops::find(&node.op.domain, &node.op.name) else { return false };
    // Quantised weights stay quantised.
    let grows = node.op.is_onnx("DequantizeLinear");
    if !def.traits.pure || grows || node.attrs.bodies().next().is_some() {
        return false;
    }
    let Some(results) = known_shape(graph, &node).or_else(|| evaluate(graph, &node)) else {
        return false;
    };
    graph.settle(id, results);
    true
}

/// The result of `Shape` or `Size` of a value whose dimensions are numbers.
fn known_shape(graph: &Rewriter<'_>, node: &Node) -> Option<Vec<Tensor>> {
    if !node.op.domain.is_empty() || !matches!(&*node.op.name, "Shape" | "Size") {
        return None;
    }
    let fixed = dims(graph, node.input(0)?)?
        .iter()
        .map(remuda_tensor::Dim::as_usize)
        .collect::<Option<Vec<_>>>()?;
    // Only the dimensions matter, so elements without memory do.
    let stand_in = Tensor::scalar(false).broadcast_to(&fixed).ok()?;
    tensors(node, &[Some(stand_in.into())])
}

fn evaluate(graph: &Rewriter<'_>, node: &Node) -> Option<Vec<Tensor>> {
    let mut inputs = Vec::with_capacity(node.inputs.len());
    let mut input_bytes = 0;
    for input in &node.inputs {
        inputs.push(match input {
            None => None,
            Some(id) => {
                let Def::Const(tensor) = &graph.value(*id).def else { return None };
                input_bytes += tensor.byte_len();
                if input_bytes > MAX_READ_BYTES {
                    return None;
                }
                Some(Val::from(tensor.contiguous()))
            }
        });
    }
    let limit = input_bytes.max(MAX_GROWN_BYTES);
    let promised: Option<usize> =
        node.outputs.iter().flatten().map(|&output| bytes(graph, output)).sum();
    if promised? > limit {
        return None;
    }
    let results = tensors(node, &inputs)?;
    (results.iter().map(Tensor::byte_len).sum::<usize>() <= limit).then_some(results)
}

/// Bytes of a value whose type is wholly known.
fn bytes(graph: &Rewriter<'_>, value: remuda_ir::ValueId) -> Option<usize> {
    let ty = graph.value(value).ty.as_ref()?.as_tensor()?;
    let count = ty.fixed_dims()?.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim))?;
    ty.dtype.bytes_for(count).or_else(|| count.checked_mul(32))
}

fn tensors(node: &Node, inputs: &[Option<Val>]) -> Option<Vec<Tensor>> {
    let results = remuda_ops::evaluate(node, inputs).ok()?;
    results.iter().map(|val| val.tensor().ok().map(Tensor::contiguous)).collect()
}
