//! Brings nodes of older operator sets to the newest one, by the rules of their definitions.

use remuda_ir::Draft;
use remuda_ops::{NEWEST_OPSET, find, find_legacy};

use crate::error::{ImportError, Result};

/// Legacy operators that turn into legacy operators, at most so often.
const MAX_STEPS: usize = 4;

/// Applies every rule that the node's operator set asks for. Nodes without a definition stay as
/// they are.
pub(crate) fn upgrade(draft: &mut Draft<'_>) -> Result<()> {
    for _ in 0..MAX_STEPS {
        let op = draft.node.op.clone();
        let Some(legacy) = find_legacy(&op.domain, &op.name) else { break };
        (legacy.apply)(draft)?;
    }
    let op = draft.node.op.clone();
    let Some(def) = find(&op.domain, &op.name) else {
        return refuse_newer(draft);
    };
    // Which inputs an operator of the first opsets worked on in place: never more than a hint.
    if draft.opset < 6 {
        draft.node.attrs.take("consumed_inputs");
    }
    for rule in def.upgrades {
        if draft.opset < rule.below {
            (rule.apply)(draft)?;
        }
        if draft.node.op != op {
            return upgrade(draft);
        }
    }
    Ok(())
}

/// An unknown operator of a newer operator set may be anything.
fn refuse_newer(draft: &Draft<'_>) -> Result<()> {
    if draft.node.op.domain.is_empty() && draft.opset > NEWEST_OPSET {
        return Err(ImportError::unsupported(format!(
            "the operator is not known, and the model's opset {} is newer than {NEWEST_OPSET}",
            draft.opset
        )));
    }
    Ok(())
}

/// Warnings for operator sets that are newer than the newest known one.
pub(crate) fn newer_opsets(opsets: &[(&str, i64)]) -> Vec<String> {
    let newer = |&&(domain, opset): &&(&str, i64)| {
        matches!(domain, "" | "ai.onnx") && opset > i64::from(NEWEST_OPSET)
    };
    let text = |&(_, opset): &(&str, i64)| {
        format!(
            "the model's opset {opset} is newer than {NEWEST_OPSET}; its operators are read as of {NEWEST_OPSET}"
        )
    };
    opsets.iter().filter(newer).map(text).collect()
}
