//! Reductions along axes, and softmax.

use remuda_sdk::ir::{Node, resolve_axis};

use super::{Lowering, Refusal, attribute, refuse};
use crate::shaders::{Elem, Reduced, Reduction};

pub(super) fn reduce(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let kind = match &*node.op.name {
        "ReduceSum" => Reduction::Sum,
        "ReduceProd" => Reduction::Prod,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceMean" => Reduction::Mean,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceSumSquare" => Reduction::SumSquare,
        "ReduceLogSum" => Reduction::LogSum,
        _ => Reduction::LogSumExp,
    };
    let x = lowering.float_part(node, 0)?;
    let rank = x.dims.len();
    let axes = lowering.ints(node, 1)?.unwrap_or_default();
    let noop = node.attrs.bool_or("noop_with_empty_axes", false).map_err(attribute)?;
    if axes.is_empty() && noop {
        return Err(refuse("attribute", "nothing is reduced"));
    }
    let mut gone = vec![axes.is_empty(); rank];
    for &axis in &axes {
        gone[resolve_axis(axis, rank).map_err(attribute)?] = true;
    }
    let kept = x.dims.iter().zip(&gone).map(|(&dim, &gone)| if gone { 1 } else { dim });
    let y = lowering.work(Elem::F32, kept.collect())?;
    let dispatch = crate::shaders::reduce(kind, &Reduced::of(&x.view, &x.dims, &gone));
    lowering.launch(dispatch, &[x.bound()], &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

/// All elements of each channel.
pub(super) fn global(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let kind = if &*node.op.name == "GlobalMaxPool" { Reduction::Max } else { Reduction::Mean };
    let x = lowering.float_part(node, 0)?;
    if x.dims.len() < 3 {
        return Err(refuse("rank", "there are no images"));
    }
    let gone: Vec<bool> = (0..x.dims.len()).map(|axis| axis > 1).collect();
    let y = lowering.work(Elem::F32, lowering.dims_out(node, 0)?)?;
    let dispatch = crate::shaders::reduce(kind, &Reduced::of(&x.view, &x.dims, &gone));
    lowering.launch(dispatch, &[x.bound()], &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

pub(super) fn softmax(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.floats(node, 0)?;
    let axis = node.attrs.int_or("axis", -1).map_err(attribute)?;
    let axis = resolve_axis(axis, x.dims.len()).map_err(attribute)?;
    let logarithm = &*node.op.name == "LogSoftmax";
    let sizes =
        [x.dims[..axis].iter().product(), x.dims[axis], x.dims[axis + 1..].iter().product()];
    let y = lowering.work(Elem::F32, x.dims.clone())?;
    let dispatch = crate::shaders::softmax(x.view.elem, sizes, logarithm);
    lowering.launch(dispatch, &[x.bound()], &[y.bound()])?;
    lowering.set_part(node, 0, y)
}
