//! `DequantizeLinear` of com.microsoft, which ONNX's own is a superset of by now.

use remuda_ir::{Draft, LegacyOp, OpError};

use crate::support::upgrades::become_newest;

pub(crate) static OP: LegacyOp =
    LegacyOp { domain: "com.microsoft", name: "DequantizeLinear", apply: rename };

fn rename(draft: &mut Draft<'_>) -> Result<(), OpError> {
    become_newest(draft, "DequantizeLinear");
    Ok(())
}
