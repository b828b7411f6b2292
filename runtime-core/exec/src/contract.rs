//! Holds plans against what the user demands of them.

use std::sync::Arc;

use remuda_plan::{ClassPlan, Contract, Plan, Reason, Strictness};

use crate::error::ExecError;
use crate::program::Built;
use crate::target::Target;

/// Holds plans against a contract.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) contract: Contract,
    /// Whether the user asked for the CPU.
    pub(crate) cpu_wanted: bool,
    /// What users are told of whatever is planned, such as that a backend is not there; one sentence each.
    pub(crate) notices: Vec<String>,
    pub(crate) targets: Arc<[Target]>,
}

impl Judge {
    /// What was built, with what the contract says of it.
    pub(crate) fn judged(&self, built: Built) -> Result<Arc<Built>, ExecError> {
        let broken = violations(&self.contract, &built.plan, &self.targets);
        if !broken.is_empty() && self.contract.fallback != Strictness::Warn {
            return Err(ExecError::Contract(broken.join("; ")));
        }
        let mut warnings = [&self.notices[..], &broken].concat();
        if self.contract.fallback == Strictness::Warn && !self.cpu_wanted {
            warnings.extend(fallbacks(&built.plan, &self.targets));
        }
        Ok(Arc::new(Built { warnings: warnings.into(), ..built }))
    }
}

/// What of a plan breaks the demands, one sentence each; those of `fallback` apart.
fn violations(contract: &Contract, plan: &Plan, targets: &[Target]) -> Vec<String> {
    let mut found = Vec::new();
    for wish in &contract.require {
        let mut parts = plan.classes.iter().flat_map(|class| &class.parts);
        let runs = parts.any(|part| {
            targets.get(part.provider.index()).is_some_and(|target| target.answers_to(wish))
        });
        if !runs && !plan.nodes.is_empty() {
            found.push(format!(
                "`{wish}` is required and runs nothing{}",
                why_not(plan, wish, targets)
            ));
        }
    }
    for class in &plan.classes {
        let parts = class.parts.len();
        if let Some(most) = contract.max_parts.filter(|&most| parts > most) {
            let whose = of_class(class);
            found.push(format!(
                "the graph falls into {parts} parts{whose}, at most {most} are allowed"
            ));
        }
    }
    if let Some(most) = contract.max_cpu_share {
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

/// Which shape class is meant, if there are several.
fn of_class(class: &ClassPlan) -> String {
    if class.name.is_empty() { String::new() } else { format!(" in {}", class.name) }
}

/// What the CPU runs although nobody asked for it, one sentence per shape class.
fn fallbacks<'p>(plan: &'p Plan, targets: &[Target]) -> impl Iterator<Item = String> + 'p {
    let cpu = targets.len() - 1;
    plan.classes.iter().filter_map(move |class| {
        let mut on_cpu =
            class.placements.iter().enumerate().filter(|(_, at)| at.provider.index() == cpu);
        let (first, placement) = on_cpu.next()?;
        let count = 1 + on_cpu.count();
        let node = plan.nodes.get(first)?;
        let reasons: Vec<String> =
            placement.reasons.iter().map(|reason| sentence(plan, reason)).collect();
        Some(format!(
            "{count} of {} nodes fall back to the CPU{}, the first is `{node}`: {}",
            plan.nodes.len(),
            of_class(class),
            reasons.join("; ")
        ))
    })
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
