//! Upsample, which opset 10 replaced by Resize.

use remuda_ir::{Attr, Draft, LegacyOp, OpError, OpName};
use remuda_tensor::Tensor;

pub(crate) static OP: LegacyOp = LegacyOp { domain: "", name: "Upsample", apply };

/// Upsample maps coordinates asymmetrically and rounds down, which Resize must be told.
fn apply(draft: &mut Draft<'_>) -> Result<(), OpError> {
    if let Some(scales) = draft.node.attrs.floats("scales")?.map(<[f32]>::to_vec) {
        draft.node.attrs.take("scales");
        let scales = draft.constant(Tensor::vector(scales));
        draft.set_input(1, scales);
    }
    let scales = draft.node.input(1).ok_or_else(|| OpError::invalid("`scales` is missing"))?;
    draft.node.inputs = vec![draft.node.input(0), None, Some(scales)];
    draft.node.attrs.set("coordinate_transformation_mode", Attr::Text("asymmetric".into()));
    draft.node.attrs.set("nearest_mode", Attr::Text("floor".into()));
    draft.node.op = OpName::onnx("Resize");
    draft.opset = draft.opset.max(11);
    Ok(())
}
