//! `Range` of com.microsoft, whose step is 1 where it is left out.

use remuda_ir::{Attr, Attrs, Draft, LegacyOp, OpError, OpName};
use remuda_tensor::Tensor;

use crate::support::upgrades::become_newest;

pub(crate) static OP: LegacyOp = LegacyOp { domain: "com.microsoft", name: "Range", apply };

fn apply(draft: &mut Draft<'_>) -> Result<(), OpError> {
    if draft.node.input(2).is_none() {
        let start = draft.node.input(0).ok_or_else(|| OpError::invalid("`start` is missing"))?;
        let one = draft.constant(Tensor::scalar(1i64));
        let step = draft.before(OpName::onnx("CastLike"), &[one, start], Attrs::default());
        draft.set_input(2, step);
    }
    // Its scalars may also be vectors of one element.
    for at in 0..3 {
        let Some(value) = draft.node.input(at) else { continue };
        let mut none = Attrs::default();
        none.set("allowzero", Attr::Int(0));
        let empty = draft.constant(Tensor::vector(Vec::<i64>::new()));
        let scalar = draft.before(OpName::onnx("Reshape"), &[value, empty], none);
        draft.set_input(at, scalar);
    }
    become_newest(draft, "Range");
    Ok(())
}
