//! `Unique` of com.microsoft: the elements in the order in which they come first.

use remuda_ir::{Attr, Draft, LegacyOp, OpError};

use crate::support::upgrades::become_newest;

pub(crate) static OP: LegacyOp = LegacyOp { domain: "com.microsoft", name: "Unique", apply };

fn apply(draft: &mut Draft<'_>) -> Result<(), OpError> {
    // ONNX's also says where each was found first.
    let output = |at: usize| draft.node.output(at);
    draft.node.outputs = vec![output(0), None, output(1), output(2)];
    draft.node.attrs.set("sorted", Attr::Int(0));
    become_newest(draft, "Unique");
    Ok(())
}
