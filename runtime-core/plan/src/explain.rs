//! Works out, for every node and every provider that did not get it, why.
//!
//! A refusal speaks for itself. Where the provider could have had the node, the answer is what the
//! whole plan would cost with that one node moved: copies are exact; launches are counted only where
//! they can decide, since counting parts means a pass over the graph.

use crate::ids::{NodeId, ProviderId};
use crate::judge::{Judged, fixed_need, judge};
use crate::model::Model;
use crate::options::Policy;
use crate::permit::Permits;
use crate::plan::Origin;
use crate::problem::Problem;
use crate::reason::{Code, Delta, Reason};
use crate::state::State;
use crate::waves::Effort;

/// What explanations are made from.
pub(crate) struct Explainer<'e, 'm> {
    pub(crate) problem: &'e Problem,
    pub(crate) permits: &'e Permits,
    pub(crate) model: &'m Model,
    pub(crate) judged: &'e Judged,
    pub(crate) policy: Policy,
    pub(crate) origin: Origin,
    pub(crate) effort: Effort,
    /// Work that may go into counting launches.
    pub(crate) work: u64,
}

/// What holds for a unit and a provider, whichever of its nodes is asked about.
#[derive(Debug, Clone)]
struct Verdict {
    code: Code,
    delta: Option<Delta>,
    text: String,
}

impl Explainer<'_, '_> {
    /// Per class and node, the reasons of every provider that did not get it.
    pub(crate) fn explain(&mut self, state: &mut State<'_>) -> Vec<Vec<Vec<Reason>>> {
        let nodes = self.problem.nodes.len();
        let mut all = vec![vec![Vec::new(); nodes]; self.model.classes()];
        for unit in 0..self.model.units.len() {
            for provider in 0..self.model.providers {
                if provider == state.owner_of(unit) {
                    continue;
                }
                let verdict = self.model.units[unit]
                    .allows(provider)
                    .then(|| self.could_have(state, unit, provider));
                for &(class, vertex) in &self.model.units[unit].members {
                    for &node in &self.model.vertex_nodes[vertex as usize] {
                        let asked = (class as usize, NodeId(node));
                        let reason = self.reason(unit, asked, provider, verdict.as_ref());
                        all[class as usize][node as usize].push(reason);
                    }
                }
            }
        }
        all
    }

    fn reason(
        &self,
        unit: usize,
        (class, node): (usize, NodeId),
        provider: usize,
        verdict: Option<&Verdict>,
    ) -> Reason {
        let there = self.model.prices.nodes[class][node.index()][provider];
        let verdict = verdict.cloned().unwrap_or_else(|| self.refused(unit, class, node, provider));
        Reason {
            provider: ProviderId::from(provider),
            code: verdict.code,
            there_ns: there.map(|price| price.ns),
            delta: verdict.delta,
            text: verdict.text,
        }
    }

    /// Why `provider` may not have the unit of `node`.
    fn refused(&self, unit: usize, class: usize, node: NodeId, provider: usize) -> Verdict {
        let id = ProviderId::from(provider);
        let no = |code, text| Verdict { code, delta: None, text };
        if let Some((code, text)) = self.permits.refusal(self.problem, class, node, id) {
            return no(code, text);
        }
        if let Some(pin) = self.permits.pin(node) {
            return no(Code::Pinned, format!("pinned to `{}`", self.provider(pin)));
        }
        for &(class, vertex) in &self.model.units[unit].members {
            for &mate in &self.model.vertex_nodes[vertex as usize] {
                let mate = NodeId(mate);
                let name = &self.problem.nodes[mate.index()].name;
                let refusal = self.permits.refusal(self.problem, class as usize, mate, id);
                if let Some((code, text)) = refusal {
                    let code = code.as_str();
                    return no(Code::Group, format!("stays with node `{name}`: {code} {text}"));
                }
                if let Some(pin) = self.permits.pin(mate) {
                    let to = self.provider(pin);
                    return no(Code::Pinned, format!("stays with node `{name}`, pinned to `{to}`"));
                }
            }
        }
        no(Code::Other, String::new())
    }

    fn provider(&self, id: ProviderId) -> &str {
        &self.problem.providers[id.index()].name
    }

    /// Why `provider`, which may have `unit`, did not get it.
    fn could_have(&mut self, state: &mut State<'_>, unit: usize, provider: usize) -> Verdict {
        let owner = state.owner_of(unit);
        let (compute, transfer) = state.delta(unit, provider);
        let runs = self.runs(unit);
        let delta = |launch: Option<i64>| {
            Some(Delta {
                compute_ns: compute / runs,
                transfer_ns: transfer / runs,
                launch_ns: launch.map(|ns| ns / runs),
            })
        };
        if let Some(text) = self.too_large(state, unit, provider) {
            return Verdict { code: Code::Memory, delta: delta(None), text };
        }
        let base = compute + transfer;
        if self.policy == Policy::Priority {
            if provider > owner {
                return Verdict { code: Code::Priority, delta: delta(None), text: String::new() };
            }
            let text = self.left_out(unit).to_owned();
            return Verdict { code: Code::Memory, delta: delta(None), text };
        }
        let decided = base > self.most_saved(unit, provider, owner);
        if decided || self.work < self.model.judge_work() {
            let code = if base > 0 { Code::Cost } else { Code::SearchLimit };
            return Verdict { code, delta: delta(None), text: String::new() };
        }
        self.work -= self.model.judge_work();
        state.shift(unit, provider);
        let moved = judge(state, self.effort);
        state.shift(unit, owner);
        if let Some(over) = moved.over {
            let name = &self.problem.providers[over.provider].name;
            let text = format!("`{name}` would need {} of {} bytes", over.needed, over.budget);
            return Verdict { code: Code::Memory, delta: delta(None), text };
        }
        let total = moved.score.cost - self.judged.score.cost;
        let (code, text) = self.weigh(base, total, owner < provider);
        Verdict { code, delta: delta(Some(total - base)), text }
    }

    /// Why a unit that would fit by itself is not where the order of the providers wants it.
    fn left_out(&self, unit: usize) -> &'static str {
        let is_in_block = |&(_, vertex): &(u32, u32)| {
            let mut nodes = self.model.vertex_nodes[vertex as usize].iter();
            nodes.any(|&node| self.problem.nodes[node as usize].block.is_some())
        };
        if self.model.blocks.is_empty() {
            ""
        } else if self.model.units[unit].members.iter().any(is_in_block) {
            "no division into whole layers was found in which it fits there"
        } else {
            "no division was found in which it fits there"
        }
    }

    /// The code for a move that changes the additive cost by `base` and the whole by `total`.
    fn weigh(&self, base: i64, total: i64, owner_preferred: bool) -> (Code, String) {
        let kept = match self.origin {
            Origin::Cached => "the cached plan was kept: a new one would be hardly better",
            _ => "the search ended before it tried this",
        };
        match (base, total) {
            (..=0, 1..) => (Code::CycleSplit, String::new()),
            (_, 1..) => (Code::Cost, String::new()),
            (_, 0) if owner_preferred => (Code::Priority, String::new()),
            (_, 0) => (Code::Cost, "it would save nothing".to_owned()),
            _ => (Code::SearchLimit, kept.to_owned()),
        }
    }

    /// Costs are shown per run; those of a unit of several classes stay weighted.
    fn runs(&self, unit: usize) -> i64 {
        match self.model.units[unit].members[..] {
            [(class, _)] => {
                i64::try_from(self.model.prices.runs[class as usize]).unwrap_or(1).max(1)
            }
            _ => 1,
        }
    }

    fn too_large(&self, state: &State<'_>, unit: usize, provider: usize) -> Option<String> {
        let budget = self.model.budgets[provider]?;
        let (_, added) = state.weight_shift(unit, provider);
        let needed = fixed_need(state, provider).saturating_add(added);
        (needed > budget).then(|| format!("would need {needed} of {budget} bytes"))
    }

    /// More than a move of `unit` can be expected to save in launches.
    fn most_saved(&self, unit: usize, provider: usize, owner: usize) -> i64 {
        let members = self.model.units[unit].members.iter();
        let launch = |class: u32, provider: usize| self.model.launch[class as usize][provider];
        members.map(|&(class, _)| launch(class, provider) + launch(class, owner)).sum()
    }
}
