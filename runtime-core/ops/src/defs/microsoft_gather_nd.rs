//! `GatherND` of com.microsoft, which ONNX took over.

use remuda_ir::{Draft, LegacyOp, OpError};

use crate::support::upgrades::become_newest;

pub(crate) static OP: LegacyOp = LegacyOp { domain: "com.microsoft", name: "GatherND", apply };

fn apply(draft: &mut Draft<'_>) -> Result<(), OpError> {
    become_newest(draft, "GatherND");
    Ok(())
}
