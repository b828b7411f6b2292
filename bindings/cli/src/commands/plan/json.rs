//! One node of a plan, and the difference between two plans, for programs.

use remuda::placement::{Diff, NodeId, Plan, ProviderId, Reason};
use serde_json::{Value, json};

/// Who runs a node, what that costs, and for every other backend why not.
pub(super) fn node(plan: &Plan, node: NodeId) -> Value {
    let name = |id: ProviderId| plan.providers.get(id.index()).map(|used| &used.name);
    let reason = |reason: &Reason| {
        json!({
            "backend": name(reason.provider),
            "code": reason.code.as_str(),
            "text": reason.text,
            "cost_there_ns": reason.there_ns,
            "plan_change_ns": reason.delta.map(|delta| delta.total_ns()),
        })
    };
    let classes = plan.classes.iter().filter_map(|class| {
        let placement = class.placements.get(node.index())?;
        Some(json!({
            "class": class.name,
            "backend": name(placement.provider),
            "part": placement.part,
            "cost_ns": placement.cost_ns,
            "source": placement.source.as_str(),
            "why_not": placement.reasons.iter().map(reason).collect::<Vec<_>>(),
        }))
    });
    json!({ "node": plan.nodes.get(node.index()), "classes": classes.collect::<Vec<_>>() })
}

/// What changed between two plans.
pub(super) fn diff(diff: &Diff) -> Value {
    let classes = diff.classes.iter().map(|class| {
        json!({
            "class": class.class,
            "predicted_ns": [class.cost_ns.0, class.cost_ns.1],
            "parts": [class.parts.0, class.parts.1],
            "copied_bytes": [class.bytes_moved.0, class.bytes_moved.1],
        })
    });
    let moved = diff.moved.iter().map(|moved| {
        json!({
            "class": moved.class,
            "node": moved.node,
            "from": moved.from,
            "to": moved.to,
            "cost_ns": [moved.before_ns, moved.after_ns],
            "code": moved.why.as_ref().map(|(code, _)| code.as_str()),
            "why": moved.why.as_ref().map(|(_, sentence)| sentence),
        })
    });
    json!({
        "same": diff.is_empty(),
        "classes": classes.collect::<Vec<_>>(),
        "moved": moved.collect::<Vec<_>>(),
        "added": diff.added,
        "removed": diff.removed,
    })
}
