//! `TransposeMatMul` of com.microsoft, the former name of its `FusedMatMul`.

use remuda_ir::{Draft, LegacyOp, OpError, OpName};

pub(crate) static OP: LegacyOp =
    LegacyOp { domain: "com.microsoft", name: "TransposeMatMul", apply: rename };

fn rename(draft: &mut Draft<'_>) -> Result<(), OpError> {
    draft.node.op = OpName::new("com.microsoft", "FusedMatMul");
    Ok(())
}
