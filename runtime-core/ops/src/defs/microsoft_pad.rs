//! `Pad` of com.microsoft, which became ONNX's own.

use remuda_ir::{Draft, LegacyOp, OpError};

use crate::support::upgrades::become_newest;

pub(crate) static OP: LegacyOp = LegacyOp { domain: "com.microsoft", name: "Pad", apply: rename };

fn rename(draft: &mut Draft<'_>) -> Result<(), OpError> {
    become_newest(draft, "Pad");
    Ok(())
}
