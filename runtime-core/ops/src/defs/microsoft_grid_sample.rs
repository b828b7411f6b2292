//! `GridSample` of com.microsoft, which became ONNX's own in opset 16.

use remuda_ir::{Draft, LegacyOp, OpError, OpName};

pub(crate) static OP: LegacyOp =
    LegacyOp { domain: "com.microsoft", name: "GridSample", apply: rename };

fn rename(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.node.op = OpName::onnx("GridSample");
    draft.opset = 16;
    Ok(())
}
