//! Changes between opsets that many operators share.

use remuda_ir::{Attrs, Draft, OpError, OpName};
use remuda_tensor::{DType, Element, Tensor, dispatch_float};

use crate::NEWEST_OPSET;

/// Before opset 6, operators said which inputs they may overwrite.
pub(crate) fn drop_consumed_inputs(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.node.attrs.take("consumed_inputs");
    Ok(())
}

/// Turns a node of another domain into the newest version of one of ONNX's own operators.
pub(crate) fn become_newest(draft: &mut Draft<'_>, name: &str) {
    draft.node.op = OpName::onnx(name);
    draft.opset = NEWEST_OPSET;
}

/// The dtype of a tensor input, if the graph knows it already.
pub(crate) fn known_dtype(draft: &Draft<'_>, at: usize) -> Option<DType> {
    let id = draft.node.input(at)?;
    Some(draft.graph.value(id).ty.as_ref()?.as_tensor()?.dtype)
}

/// The number of dimensions of a tensor input, if the graph knows it already.
pub(crate) fn known_rank(draft: &Draft<'_>, at: usize) -> Option<usize> {
    let id = draft.node.input(at)?;
    Some(draft.graph.value(id).ty.as_ref()?.as_tensor()?.dims.as_ref()?.len())
}

/// Turns a float attribute into a scalar input of the dtype of input 0.
pub(crate) fn float_to_input(draft: &mut Draft<'_>, attr: &str, at: usize) -> Result<(), OpError> {
    let Some(value) = draft.node.attrs.float(attr)? else { return Ok(()) };
    draft.node.attrs.take(attr);
    let exact = known_dtype(draft, 0).and_then(|dtype| {
        dispatch_float!(dtype, T => Some(Tensor::scalar(T::from_f64(f64::from(value)))), else None)
    });
    let scalar = match (exact, draft.node.input(0)) {
        (Some(tensor), _) => draft.constant(tensor),
        (None, data) => {
            let scalar = draft.constant(Tensor::scalar(value));
            match data {
                Some(data) => {
                    draft.before(OpName::onnx("CastLike"), &[scalar, data], Attrs::default())
                }
                None => scalar,
            }
        }
    };
    draft.set_input(at, scalar);
    Ok(())
}
