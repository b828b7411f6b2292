//! Numbers computed from shapes that the types tell, though some of the dimensions are not known: the last
//! size of a tensor whose first is a symbol.

use remuda_ir::NodeId;
use remuda_tensor::{DType, Dim, Tensor};

use crate::{Rewriter, Rule};

pub(crate) static RULE: Rule =
    Rule { name: "fold_shapes", apply, cases: include_str!("fold_shapes.rir") };

fn apply(graph: &mut Rewriter<'_>, id: NodeId) -> bool {
    let Some(numbers) = numbers(graph, id) else { return false };
    graph.settle(id, vec![numbers]);
    true
}

fn numbers(graph: &Rewriter<'_>, id: NodeId) -> Option<Tensor> {
    let node = graph.node(id)?;
    let [Some(output)] = node.outputs[..] else { return None };
    let ty = graph.value(output).ty.as_ref()?.as_tensor()?;
    let dims = ty.fixed_dims()?;
    let numbers = graph.content(output)?.iter().map(Dim::as_i64).collect::<Option<Vec<_>>>()?;
    match ty.dtype {
        DType::I64 => Tensor::from_vec(dims, numbers).ok(),
        DType::I32 => {
            let narrow = numbers.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>();
            Tensor::from_vec(dims, narrow.ok()?).ok()
        }
        _ => None,
    }
}
