//! What the user demands of a placement, beside getting an answer.

use remuda_plan::{Plan, Reason};

use crate::target::Target;

/// What happens when a demand is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Nothing: it is in the plan and in the receipt.
    #[default]
    Allow,
    /// The receipt carries a warning.
    Warn,
    /// The session is not made, or the run fails.
    Error,
}

impl Strictness {
    /// The strictness with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "warn" => Some(Self::Warn),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// What the user demands of a placement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contract {
    /// Whether the CPU may run what nobody asked it to run, and others what a failed target ran.
    pub fallback: Strictness,
    /// Targets, by any of their names, that must run something.
    pub require: Vec<String>,
    /// The largest share of the nodes that the CPU may run, 0 to 1.
    pub max_cpu_share: Option<f64>,
    /// The most parts that the graph may fall into.
    pub max_parts: Option<usize>,
    /// What happens when `require`, `max_cpu_share` or `max_parts` is not met: a warning or an error.
    pub only_warn: bool,
}

impl Contract {
    /// What of a plan breaks the demands, one sentence each; those of `fallback` apart.
    pub(crate) fn violations(&self, plan: &Plan, targets: &[Target]) -> Vec<String> {
        let mut found = Vec::new();
        let Some(class) = plan.classes.first() else { return found };
        for wish in &self.require {
            let runs = class.parts.iter().any(|part| {
                targets.get(part.provider.index()).is_some_and(|target| target.answers_to(wish))
            });
            if !runs && !class.placements.is_empty() {
                found.push(format!(
                    "`{wish}` is required and runs nothing{}",
                    why_not(plan, wish, targets)
                ));
            }
        }
        if let Some(most) = self.max_parts
            && class.parts.len() > most
        {
            found.push(format!(
                "the graph falls into {} parts, at most {most} are allowed",
                class.parts.len()
            ));
        }
        if let Some(most) = self.max_cpu_share {
            let share = share_of(plan, targets.len() - 1);
            if share > most {
                let (share, most) = (share * 100.0, most * 100.0);
                found.push(format!(
                    "the CPU runs {share:.1} % of the nodes, at most {most:.1} % are allowed"
                ));
            }
        }
        found
    }

    /// What the CPU runs although nobody asked for it, in one sentence.
    pub(crate) fn fallbacks(plan: &Plan, targets: &[Target]) -> Option<String> {
        let cpu = targets.len() - 1;
        let class = plan.classes.first()?;
        let mut on_cpu =
            class.placements.iter().enumerate().filter(|(_, at)| at.provider.index() == cpu);
        let (first, placement) = on_cpu.next()?;
        let count = 1 + on_cpu.count();
        let node = plan.nodes.get(first)?;
        let reasons: Vec<String> =
            placement.reasons.iter().map(|reason| sentence(plan, reason)).collect();
        Some(format!(
            "{count} of {} nodes fall back to the CPU, the first is `{node}`: {}",
            plan.nodes.len(),
            reasons.join("; ")
        ))
    }
}

fn sentence(plan: &Plan, reason: &Reason) -> String {
    reason.sentence(plan.providers.get(reason.provider.index()).map_or("?", |p| &p.name))
}

/// The reason for the first node that a required target did not get.
fn why_not(plan: &Plan, wish: &str, targets: &[Target]) -> String {
    let placements = plan.classes.iter().flat_map(|class| &class.placements);
    let mut reasons = placements.flat_map(|placement| &placement.reasons);
    let of_it = reasons.find(|reason| {
        targets.get(reason.provider.index()).is_some_and(|target| target.answers_to(wish))
    });
    of_it.map_or(String::new(), |reason| format!(": {}", sentence(plan, reason)))
}

/// The share of all nodes that one provider runs.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share_of(plan: &Plan, provider: usize) -> f64 {
    let placements = || plan.classes.iter().flat_map(|class| &class.placements);
    let own = placements().filter(|placement| placement.provider.index() == provider).count();
    own as f64 / placements().count().max(1) as f64
}
