//! The whole cost of an assignment, and whether it fits the budgets.

use crate::memory::{Order, lives};
use crate::model::Model;
use crate::search::effort;
use crate::state::State;
use crate::waves::{Effort, Waves, cheapest};

/// What decides between two assignments: the cost, then how preferred the providers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Score {
    pub(crate) cost: i64,
    pub(crate) rank: u64,
}

/// An assignment, its parts and its score.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) score: Score,
    /// Per class.
    pub(crate) waves: Vec<Waves>,
    /// The provider that is furthest over its budget, with what it needs; none if all fit.
    pub(crate) over: Option<Over>,
}

/// A budget that is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) provider: usize,
    pub(crate) needed: u64,
    pub(crate) budget: u64,
}

impl Over {
    /// By how much.
    pub(crate) fn excess(&self) -> u64 {
        self.needed - self.budget
    }
}

/// Judges `state`.
pub(crate) fn judge(state: &State<'_>, effort: Effort) -> Judged {
    let waves = waves(state, effort);
    let launch: i64 = waves.iter().map(|waves| waves.launch).sum();
    let score = Score { cost: state.base() + launch, rank: rank(state) };
    let over =
        over_by_weights(state).or_else(|| worst(over_budgets(state, &waves, effort).into_iter()));
    Judged { score, waves, over }
}

/// The score of `state`, whether it fits or not.
pub(crate) fn score(state: &State<'_>, effort: Effort) -> Score {
    let launch = waves(state, effort).iter().map(|waves| waves.launch).sum::<i64>();
    Score { cost: state.base() + launch, rank: rank(state) }
}

/// The waves of each class.
fn waves(state: &State<'_>, effort: Effort) -> Vec<Waves> {
    let model = state.model;
    let waves = (0..model.classes()).map(|class| {
        let owner = model.owners(class, state.owner());
        cheapest(&model.graph, &owner, &model.launch[class], effort)
    });
    waves.collect()
}

/// How far down the list of providers the units sit.
pub(crate) fn rank(state: &State<'_>) -> u64 {
    state.owner().iter().map(|&provider| u64::from(provider)).sum()
}

/// The budget that weights and workspace alone miss by most.
pub(crate) fn over_by_weights(state: &State<'_>) -> Option<Over> {
    worst(by_weights(state))
}

/// Whether weights and workspace alone keep all budgets but that of `spared`.
pub(crate) fn weights_fit(state: &State<'_>, spared: usize) -> bool {
    by_weights(state).all(|over| over.provider == spared)
}

/// Whether all budgets but that of `spared` are kept, with every buffer in its place.
pub(crate) fn fits(state: &State<'_>, spared: usize, effort: Effort) -> bool {
    let kept = || over_budgets(state, &waves(state, effort), Effort::Thorough);
    weights_fit(state, spared) && kept().iter().all(|over| over.provider == spared)
}

fn by_weights(state: &State<'_>) -> impl Iterator<Item = Over> {
    let model = state.model;
    (0..model.providers).filter_map(|provider| {
        let budget = model.budgets[provider]?;
        let needed = fixed_need(state, provider);
        (needed > budget).then_some(Over { provider, needed, budget })
    })
}

/// Weights and, if the provider is used at all, its workspace.
pub(crate) fn fixed_need(state: &State<'_>, provider: usize) -> u64 {
    let model = state.model;
    let used = (0..model.classes()).any(|class| state.population(class, provider) > 0);
    let workspace = if used { model.prices.workspace[provider] } else { 0 };
    state.resident(provider).saturating_add(workspace)
}

fn worst(overs: impl Iterator<Item = Over>) -> Option<Over> {
    overs.max_by_key(|over| (over.excess(), std::cmp::Reverse(over.provider)))
}

/// The budgets that `state` misses, with every buffer in its place however large the model is.
pub(crate) fn misses(state: &State<'_>) -> Vec<Over> {
    let all = by_weights(state).collect::<Vec<Over>>();
    if !all.is_empty() {
        return all;
    }
    over_budgets(state, &waves(state, effort(state.model)), Effort::Thorough)
}

/// The budgets that are missed, activations included, if weights and workspace alone miss none.
fn over_budgets(state: &State<'_>, waves: &[Waves], effort: Effort) -> Vec<Over> {
    let tight: Vec<usize> = (0..state.model.providers).filter(|&p| may_bind(state, p)).collect();
    if tight.is_empty() {
        return Vec::new();
    }
    let overs = waves.iter().enumerate().flat_map(|(class, waves)| {
        let order = Order {
            owner: state.model.owners(class, state.owner()),
            part_of: waves.wave_of.clone(),
            parts: waves.sequence.len(),
        };
        over_in_order(state, class, &order, &tight, effort)
    });
    overs.collect()
}

/// The budgets among `tight` that `order` misses.
pub(crate) fn over_in_order(
    state: &State<'_>,
    class: usize,
    order: &Order,
    tight: &[usize],
    effort: Effort,
) -> Vec<Over> {
    let model = state.model;
    let lives = lives(model, class, order);
    let overs = tight.iter().filter_map(|&provider| {
        let budget = model.budgets[provider]?;
        let fixed = fixed_need(state, provider);
        let arena = lives.fit(provider, budget.saturating_sub(fixed), effort).err()?;
        Some(Over { provider, needed: fixed.saturating_add(arena), budget })
    });
    overs.collect()
}

/// Whether the budget would be missed if every tensor were alive at once.
pub(crate) fn may_bind(state: &State<'_>, provider: usize) -> bool {
    let model = state.model;
    model.budgets[provider].is_some_and(|budget| {
        let most = model.all_bytes.iter().copied().max().unwrap_or(0);
        fixed_need(state, provider).saturating_add(most) > budget
    })
}

/// What working out lifetimes costs, in passes over the graph.
const MEMORY_WORK: u64 = 4;

impl Model {
    /// What one judgement visits.
    pub(crate) fn judge_work(&self) -> u64 {
        let memory = if self.budgets.iter().any(Option::is_some) { MEMORY_WORK } else { 0 };
        self.graph.size() * self.classes() as u64 * (1 + memory)
    }
}
