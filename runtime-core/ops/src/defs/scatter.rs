//! Scatter, which opset 11 renamed to `ScatterElements`.

use remuda_ir::{LegacyOp, OpName};

pub(crate) static OP: LegacyOp = LegacyOp {
    domain: "",
    name: "Scatter",
    apply: |draft| {
        draft.node.op = OpName::onnx("ScatterElements");
        draft.opset = draft.opset.max(11);
        Ok(())
    },
};
