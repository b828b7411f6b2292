//! `ExpandDims` of com.microsoft, an `Unsqueeze` of one axis.

use remuda_ir::{Attr, Attrs, Draft, LegacyOp, OpError, OpName};
use remuda_tensor::Tensor;

use crate::support::upgrades::become_newest;

pub(crate) static OP: LegacyOp = LegacyOp { domain: "com.microsoft", name: "ExpandDims", apply };

fn apply(draft: &mut Draft<'_>) -> Result<(), OpError> {
    let axis = draft.node.input(1).ok_or_else(|| OpError::invalid("`axis` is missing"))?;
    let mut to = Attrs::default();
    to.set("to", Attr::Int(7));
    let axis = draft.before(OpName::onnx("Cast"), &[axis], to);
    let one = draft.constant(Tensor::vector(vec![1i64]));
    let axes = draft.before(OpName::onnx("Reshape"), &[axis, one], Attrs::default());
    draft.set_input(1, axes);
    become_newest(draft, "Unsqueeze");
    Ok(())
}
