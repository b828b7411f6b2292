//! `FusedConv` of com.microsoft, which is `FusedConv` of the domain `remuda`.

use remuda_ir::{Draft, LegacyOp, OpError, OpName};

pub(crate) static OP: LegacyOp =
    LegacyOp { domain: "com.microsoft", name: "FusedConv", apply: rename };

fn rename(draft: &mut Draft<'_>) -> Result<(), OpError> {
    // No activation is also written as an empty name.
    if draft.node.attrs.text("activation")? == Some("") {
        draft.node.attrs.take("activation");
    }
    draft.node.op = OpName::new("remuda", "FusedConv");
    Ok(())
}
