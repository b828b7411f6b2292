//! What changed between two plans: which nodes moved, why, and what it does to the prediction.
//!
//! Plans are matched by names, of nodes, providers and shape classes, so that plans of two versions
//! of a model or of two machines can be compared. The reason for a move is the one that the new plan
//! gives for not leaving the node where it was.

use remuda_base::Map;

use crate::plan::{ClassPlan, Placement, Plan};
use crate::reason::Code;
use crate::time::show_ns;

/// A node that changed its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// In which shape class.
    pub class: String,
    /// The node.
    pub node: String,
    /// Where it was.
    pub from: String,
    /// Where it is now.
    pub to: String,
    /// What it cost there.
    pub before_ns: u64,
    /// What it costs now.
    pub after_ns: u64,
    /// Why it is no longer where it was; none if that provider is gone.
    pub why: Option<(Code, String)>,
}

/// How one shape class changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassChange {
    /// Its name.
    pub class: String,
    /// The predicted cost of one run, before and after.
    pub cost_ns: (u64, u64),
    /// How many parts, before and after.
    pub parts: (usize, usize),
    /// Bytes copied in one run, before and after.
    pub bytes_moved: (u64, u64),
}

/// The difference between two plans.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Nodes on another provider, in the order of the new plan.
    pub moved: Vec<Moved>,
    /// Nodes that only the new plan has.
    pub added: Vec<String>,
    /// Nodes that only the old plan has.
    pub removed: Vec<String>,
    /// The shape classes that both plans have.
    pub classes: Vec<ClassChange>,
}

impl Diff {
    /// The difference from `old` to `new`.
    #[must_use]
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let names =
            |plan: &Plan| -> Map<String, usize> { plan.nodes.iter().cloned().zip(0..).collect() };
        let (before, after) = (names(old), names(new));
        let only = |one: &Plan, other: &Map<String, usize>| -> Vec<String> {
            one.nodes.iter().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        let mut diff =
            Self { added: only(new, &before), removed: only(old, &after), ..Self::default() };
        for class in &new.classes {
            let Some(was) = old.classes.iter().find(|was| was.name == class.name) else { continue };
            diff.classes.push(change(was, class));
            for (name, placement) in new.nodes.iter().zip(&class.placements) {
                let was = before.get(name).and_then(|&at| was.placements.get(at));
                let moved = was.and_then(|was| moved(old, new, was, placement));
                diff.moved.extend(moved.map(|moved| Moved {
                    class: class.name.clone(),
                    node: name.clone(),
                    ..moved
                }));
            }
        }
        diff
    }

    /// Whether every node of both plans is where it was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }

    /// The difference for people, one change per line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for class in &self.classes {
            let name = if class.class.is_empty() { "plan" } else { &class.class };
            out.push_str(&format!(
                "{name}: {} -> {}, {} -> {} parts, {} -> {} bytes copied\n",
                show_ns(class.cost_ns.0),
                show_ns(class.cost_ns.1),
                class.parts.0,
                class.parts.1,
                class.bytes_moved.0,
                class.bytes_moved.1
            ));
        }
        for moved in &self.moved {
            let class =
                if moved.class.is_empty() { String::new() } else { format!(" ({})", moved.class) };
            let (before, after) = (show_ns(moved.before_ns), show_ns(moved.after_ns));
            let why = match &moved.why {
                Some((_, sentence)) => sentence.clone(),
                None => format!("`{}` is gone", moved.from),
            };
            out.push_str(&format!(
                "node `{}`{class}: `{}` ({before}) -> `{}` ({after}); {why}\n",
                moved.node, moved.from, moved.to
            ));
        }
        out.extend(self.added.iter().map(|node| format!("node `{node}` is new\n")));
        out.extend(self.removed.iter().map(|node| format!("node `{node}` is gone\n")));
        out
    }
}

fn change(was: &ClassPlan, class: &ClassPlan) -> ClassChange {
    let bytes = |class: &ClassPlan| class.transfers.iter().map(|t| t.bytes).sum();
    ClassChange {
        class: class.name.clone(),
        cost_ns: (was.cost.total_ns(), class.cost.total_ns()),
        parts: (was.parts.len(), class.parts.len()),
        bytes_moved: (bytes(was), bytes(class)),
    }
}

/// The move of one node, but for the names of node and class; none if it stayed.
fn moved(old: &Plan, new: &Plan, was: &Placement, now: &Placement) -> Option<Moved> {
    let from = &old.providers.get(was.provider.index())?.name;
    let to = &new.providers.get(now.provider.index())?.name;
    if from == to {
        return None;
    }
    let at = new.providers.iter().position(|provider| provider.name == *from);
    let reason = now.reasons.iter().find(|reason| Some(reason.provider.index()) == at);
    Some(Moved {
        class: String::new(),
        node: String::new(),
        from: from.clone(),
        to: to.clone(),
        before_ns: was.cost_ns,
        after_ns: now.cost_ns,
        why: reason.map(|reason| (reason.code, reason.sentence(from))),
    })
}
