//! Holds a problem, makes plans for it, and takes back what providers refuse afterwards.

mod candidates;

use candidates::{Candidate, Candidates};
use remuda_base::{Map, Set};

use crate::assemble::{class_plan, provider_uses};
use crate::error::PlanError;
use crate::explain::Explainer;
use crate::fingerprint::fingerprint;
use crate::ids::{NodeId, ProviderId};
use crate::model::Model;
use crate::notice::{Notice, Notices};
use crate::options::Options;
use crate::permit::{Permits, check_supported};
use crate::plan::{Instead, Plan, PlanId};
use crate::prepare::prepare;
use crate::problem::{Answer, Cost, Problem};
use crate::reason::Code;
use crate::schedule::{Site, schedule};
use crate::state::State;
use crate::validate::validate;
use crate::verify::verify;
use crate::waves::Effort;

/// How long a node took on a provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// In which shape class, by its place.
    pub class: usize,
    /// The node.
    pub node: NodeId,
    /// Who ran it.
    pub provider: ProviderId,
    /// Nanoseconds.
    pub ns: f64,
}

/// Makes plans for one problem.
#[derive(Clone, Debug)]
pub struct Planner {
    problem: Problem,
    options: Options,
    permits: Permits,
    model: Model,
    notices: Vec<Notice>,
    rounds: Map<ProviderId, u32>,
}

impl Planner {
    /// Checks and prices the problem.
    ///
    /// # Errors
    /// If the problem contradicts itself, every provider refuses a node, or the user's wishes leave a
    /// node without a provider.
    pub fn new(problem: Problem, options: Options) -> Result<Self, PlanError> {
        validate(&problem)?;
        check_supported(&problem)?;
        let permits = Permits::new(&problem, &options)?;
        let mut notices = Notices::default();
        let model = prepare(&problem, &permits, &mut notices)?;
        let notices = notices.finish();
        Ok(Self { problem, options, permits, model, notices, rounds: Map::new() })
    }

    /// The problem that is planned for.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Identifies the question that [`Planner::plan`] answers now: the problem, the options and the
    /// refusals so far. A stored plan with the same [`Plan::problem`] can be used as it is.
    #[must_use]
    pub fn question(&self) -> PlanId {
        fingerprint(&self.problem, &self.options, &self.permits)
    }

    /// The best plan that is found. Same inputs, same bytes.
    ///
    /// A `cached` plan for the same question is checked and returned. One for another question (say,
    /// new measurements) is a starting point, and is kept unless the new plan is clearly better.
    ///
    /// # Errors
    /// [`PlanError::OutOfMemory`] if nothing was found that fits the budgets; otherwise only
    /// [`PlanError::Broken`], which is a bug here.
    pub fn plan(&self, cached: Option<&Plan>) -> Result<Plan, PlanError> {
        let question = self.question();
        if let Some(plan) = cached
            && plan.problem == question
            && plan.content_id() == plan.id
            && verify(&self.problem, &self.permits, plan).is_ok()
        {
            return Ok(plan.clone());
        }
        let mut candidates = Candidates::new(&self.model, &self.options);
        let previous = cached.and_then(|plan| self.assignment_of(plan));
        let chosen = candidates.best(previous).map_err(|over| PlanError::OutOfMemory {
            provider: self.problem.providers[over.provider].name.clone(),
            needed: over.needed,
            budget: over.budget,
        })?;
        let mut plan = self.write(chosen, question, candidates.instead());
        if let Some(kept) = candidates.kept() {
            let old = self.write(kept, question, candidates.instead());
            if !self.clearly_better(plan.cost_ns, old.cost_ns) {
                plan = old;
            }
        }
        verify(&self.problem, &self.permits, &plan)?;
        Ok(plan)
    }

    /// A plan that uses only some of the providers: all but one as the plan to go on with if that one
    /// is lost, or one and the fallback to measure the real plan against. The others are
    /// [`Code::Unavailable`], with `why`.
    ///
    /// # Errors
    /// As [`Planner::plan`], and if a node has nowhere to go or is pinned to another provider.
    pub fn plan_among(&self, providers: &[ProviderId], why: &str) -> Result<Plan, PlanError> {
        let mut permits = self.permits.clone();
        for other in (0..self.problem.providers.len()).map(ProviderId::from) {
            if !providers.contains(&other) {
                for node in (0..self.problem.nodes.len()).map(NodeId::from) {
                    permits.refused.insert((node, other), (Code::Unavailable, why.to_owned()));
                }
            }
        }
        let among = Self {
            problem: self.problem.clone(),
            options: self.options.clone(),
            model: prepare(&self.problem, &permits, &mut Notices::default())?,
            permits,
            notices: self.notices.clone(),
            rounds: self.rounds.clone(),
        };
        among.plan(None)
    }

    /// Takes `nodes` away from `provider`, which refused them after seeing a part, or failed to
    /// compile it. Plan again afterwards: every call takes at least one node away from one provider,
    /// so planning and refusing comes to an end. A provider that refused too often loses all nodes.
    ///
    /// # Errors
    /// [`PlanError::NothingRefused`] if it had none of the nodes; [`PlanError::NoProvider`] or
    /// [`PlanError::PinRefused`] if a node has nowhere to go now, in which case nothing changes.
    pub fn refuse(
        &mut self,
        nodes: &[NodeId],
        provider: ProviderId,
        code: Code,
        text: &str,
    ) -> Result<(), PlanError> {
        let known = provider.index() < self.problem.providers.len();
        let fresh: Set<NodeId> =
            nodes.iter().copied().filter(|&node| known && self.may_have(node, provider)).collect();
        if fresh.is_empty() {
            let name = self.problem.providers.get(provider.index()).map(|p| p.name.clone());
            let provider = name.unwrap_or_else(|| provider.to_string());
            return Err(PlanError::NothingRefused { provider });
        }
        let mut permits = self.permits.clone();
        for &node in &fresh {
            permits.refused.insert((node, provider), (code, text.to_owned()));
        }
        let rounds = self.rounds.get(&provider).copied().unwrap_or(0) + 1;
        let banned =
            rounds >= self.options.refusal_rounds && Some(provider) != self.problem.fallback;
        if banned {
            let why = format!("set aside after {rounds} refusals, the last: {text}");
            for node in (0..self.problem.nodes.len()).map(NodeId::from) {
                if self.permits.pin(node) != Some(provider) {
                    let entry = permits.refused.entry((node, provider));
                    entry.or_insert((Code::Quarantined, why.clone()));
                }
            }
        }
        self.model = prepare(&self.problem, &permits, &mut Notices::default())?;
        self.permits = permits;
        self.rounds.insert(provider, rounds);
        Ok(())
    }

    /// Takes measured times for what nodes were said to cost.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn measured(&mut self, costs: &[Timed]) -> Result<(), PlanError> {
        let classes = self.problem.classes.len().max(1);
        for &Timed { class, node, provider, ns } in costs {
            let Some(node) = self.problem.nodes.get_mut(node.index()) else { continue };
            if class < classes
                && node.answers.len() < classes
                && let Some(only) = node.answers.first()
            {
                node.answers = vec![only.clone(); classes];
            }
            let row = node.answers.get_mut(class);
            if let Some(Answer::Yes { cost }) = row.and_then(|row| row.get_mut(provider.index())) {
                *cost = Cost::measured(ns);
            }
        }
        self.model = prepare(&self.problem, &self.permits, &mut Notices::default())?;
        Ok(())
    }

    /// Lets go of the nodes that are pinned to a provider which is lost.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn unpin(&mut self, provider: ProviderId) -> Result<(), PlanError> {
        self.permits.release(provider);
        self.model = prepare(&self.problem, &self.permits, &mut Notices::default())?;
        Ok(())
    }

    /// Lowers what a provider may use, after it ran out of memory earlier than it had promised.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn lower_budget(&mut self, provider: ProviderId, bytes: u64) -> Result<(), PlanError> {
        if let Some(provider) = self.problem.providers.get_mut(provider.index()) {
            let lower = provider.budget_bytes.map_or(bytes, |old| old.min(bytes));
            provider.budget_bytes = Some(lower);
        }
        self.model = prepare(&self.problem, &self.permits, &mut Notices::default())?;
        Ok(())
    }

    /// Whether a new cost is below an old one by more than measurements waver.
    fn clearly_better(&self, new_ns: u64, old_ns: u64) -> bool {
        let keep = 100u64.saturating_sub(self.options.replace_percent);
        u128::from(new_ns) * 100 < u128::from(old_ns) * u128::from(keep)
    }

    fn may_have(&self, node: NodeId, provider: ProviderId) -> bool {
        let classes = 0..self.problem.classes.len().max(1);
        node.index() < self.problem.nodes.len()
            && classes
                .into_iter()
                .any(|class| self.permits.refusal(&self.problem, class, node, provider).is_none())
    }

    /// The assignment of a plan for another question, as far as it speaks of the same things; none
    /// if some unit may not stay where it was.
    fn assignment_of(&self, plan: &Plan) -> Option<Vec<u8>> {
        let known: Map<&str, usize> = plan.nodes.iter().map(String::as_str).zip(0..).collect();
        let providers: Vec<Option<usize>> = plan
            .providers
            .iter()
            .map(|old| self.problem.provider_named(&old.name).map(ProviderId::index))
            .collect();
        let owner = self.model.units.iter().map(|unit| {
            let &(class, vertex) = unit.members.first()?;
            let node = *self.model.vertex_nodes[vertex as usize].first()?;
            let at = *known.get(self.problem.nodes[node as usize].name.as_str())?;
            let class = plan.classes.get(class as usize).or(plan.classes.first())?;
            let was = class.placements.get(at)?.provider;
            let provider = (*providers.get(was.index())?)?;
            unit.allows(provider).then_some(provider as u8)
        });
        owner.collect()
    }

    fn write(&self, chosen: Candidate, question: PlanId, instead: &[Instead]) -> Plan {
        let model = &self.model;
        let mut state = State::new(model, chosen.owner);
        let mut explainer = Explainer {
            problem: &self.problem,
            permits: &self.permits,
            model,
            judged: &chosen.judged,
            policy: self.options.policy,
            origin: chosen.origin,
            effort: if model.units.len() > 200 { Effort::Quick } else { Effort::Thorough },
            work: self.options.work_limit / 4,
        };
        let reasons = explainer.explain(&mut state);
        let mut classes = Vec::new();
        let mut arenas = Vec::new();
        for (class, reasons) in reasons.into_iter().enumerate() {
            let site =
                Site { problem: &self.problem, permits: &self.permits, state: &state, class };
            let schedule = schedule(site, &chosen.judged.waves[class]);
            let (plan, arena) = class_plan(&self.problem, model, class, &schedule, reasons);
            classes.push(plan);
            arenas.push(arena);
        }
        let weighted = classes.iter().map(|class| class.cost.total_ns() * u64::from(class.runs));
        let mut plan = Plan {
            id: PlanId::default(),
            problem: question,
            policy: self.options.policy,
            origin: chosen.origin,
            cost_ns: weighted.sum(),
            providers: provider_uses(&self.problem, &state, &arenas),
            nodes: self.problem.nodes.iter().map(|node| node.name.clone()).collect(),
            tensors: self.problem.tensors.iter().map(|tensor| tensor.name.clone()).collect(),
            classes,
            instead: instead.to_vec(),
            notices: self.notices.clone(),
        };
        let predicted = u64::try_from(chosen.judged.score.cost).unwrap_or(0);
        debug_assert!(plan.cost_ns <= predicted, "the schedule costs more than the assignment");
        plan.id = plan.content_id();
        plan
    }
}
