//! Gathers seeds, improves them, and picks one.

use crate::chain;
use crate::exhaustive;
use crate::judge::{Judged, Over, Score, judge, misses, score};
use crate::model::Model;
use crate::options::{Options, Policy};
use crate::plan::{Instead, Origin};
use crate::repair::repair;
use crate::search::{Allowance, FEW_UNITS, effort, improve};
use crate::seeds;
use crate::state::State;
use crate::waves::Effort;

/// A feasible assignment.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) origin: Origin,
    pub(super) owner: Vec<u8>,
    pub(super) judged: Judged,
}

impl Candidate {
    fn score(&self) -> Score {
        self.judged.score
    }
}

/// The candidates for one model.
#[derive(Debug)]
pub(super) struct Candidates<'m> {
    model: &'m Model,
    options: &'m Options,
    found: Vec<Candidate>,
    nearest: Option<Over>,
    instead: Vec<Instead>,
    allowance: Allowance,
}

impl<'m> Candidates<'m> {
    pub(super) fn new(model: &'m Model, options: &'m Options) -> Self {
        let allowance = Allowance {
            moves: options.moves_per_node.saturating_mul(model.units.len() as u64),
            work: options.work_limit,
        };
        Self { model, options, found: Vec::new(), nearest: None, instead: Vec::new(), allowance }
    }

    /// The best candidate; if none fits the budgets, the budget that was missed by least.
    pub(super) fn best(&mut self, cached: Option<Vec<u8>>) -> Result<Candidate, Over> {
        if self.options.policy == Policy::Priority {
            let owner = seeds::by_priority(self.model, &mut self.allowance);
            self.whole(Origin::Priority, &State::new(self.model, owner));
            if self.found.is_empty() {
                self.seeds();
            }
            return self.pick();
        }
        if let Some(owner) = cached {
            self.cached(owner);
        }
        self.seeds();
        self.chains();
        self.search();
        self.chains();
        self.exhaust();
        self.pick()
    }

    /// The cached plan's assignment, if it still fits.
    pub(super) fn kept(&self) -> Option<Candidate> {
        self.found.iter().find(|candidate| candidate.origin == Origin::Cached).cloned()
    }

    fn pick(&self) -> Result<Candidate, Over> {
        let best = self.found.iter().min_by_key(|candidate| (candidate.score(), candidate.origin));
        best.cloned().ok_or(self.nearest.unwrap_or(Over { provider: 0, needed: 0, budget: 0 }))
    }

    fn cached(&mut self, owner: Vec<u8>) {
        let judged = judge(&State::new(self.model, owner.clone()), Effort::Thorough);
        if judged.over.is_none() {
            self.found.push(Candidate { origin: Origin::Cached, owner, judged });
        }
    }

    /// All seeds, the cheapest first, so that repairs that cannot pay are not begun.
    fn seeds(&mut self) {
        let mut seeds = seeds::simple(self.model);
        // What filling takes is not to be missing in the search.
        let mut apart = self.allowance;
        seeds.push((Origin::Priority, seeds::by_priority(self.model, &mut apart)));
        for surcharge in [true, false] {
            let owner = seeds::by_cuts(self.model, surcharge, &mut self.allowance);
            seeds.push((Origin::Cut, owner));
        }
        if self.model.budgets.iter().any(Option::is_some) {
            seeds.push((Origin::PerNode, seeds::by_price(self.model)));
        }
        let alone = seeds.iter().find(|(origin, _)| *origin == Origin::Fallback);
        let alone = alone.map(|(_, owner)| owner.clone());
        let mut judged: Vec<_> = seeds
            .into_iter()
            .map(|(origin, owner)| {
                self.allowance.spend(self.model.judge_work());
                let judged = judge(&State::new(self.model, owner.clone()), effort(self.model));
                if origin != Origin::Single || alone.as_ref() != Some(&owner) {
                    self.compare(origin, &judged);
                }
                (judged.score, origin, owner)
            })
            .collect();
        judged.sort();
        judged.dedup_by(|a, b| a.2 == b.2);
        for (score, origin, owner) in judged {
            self.seed(origin, owner, Some(score));
        }
    }

    /// Keeps what a simple rule comes to; of several of a kind the best.
    fn compare(&mut self, rule: Origin, judged: &Judged) {
        if judged.over.is_some() || rule == Origin::Cut {
            return;
        }
        let cost_ns = u64::try_from(judged.score.cost).unwrap_or(0);
        let parts: usize = judged.waves.iter().map(|waves| waves.sequence.len()).sum();
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        match self.instead.iter_mut().find(|known| known.rule == rule) {
            Some(known) if known.cost_ns <= cost_ns => {}
            Some(known) => (known.cost_ns, known.parts) = (cost_ns, parts),
            None => self.instead.push(Instead { rule, cost_ns, parts }),
        }
    }

    /// What simple rules come to.
    pub(super) fn instead(&self) -> &[Instead] {
        &self.instead
    }

    /// Adds an assignment, made to fit; not if that would take work for nothing: `score` is what it
    /// has as it is.
    fn seed(&mut self, origin: Origin, owner: Vec<u8>, score: Option<Score>) {
        if self.found.iter().any(|known| known.owner == owner && known.origin != Origin::Cached) {
            return;
        }
        let mut state = State::new(self.model, owner);
        let hopeless = |best: &Candidate| score.is_some_and(|score| score > best.score());
        let repairs = self.model.units.len() <= FEW_UNITS || !self.found.iter().any(hopeless);
        match repair(&mut state, repairs, &mut self.allowance) {
            Ok(judged) => {
                let owner = state.owner().to_vec();
                self.found.push(Candidate { origin, owner, judged });
            }
            Err(over) => {
                let nearer = self.nearest.is_none_or(|known| over.excess() < known.excess());
                self.nearest = if nearer { Some(over) } else { self.nearest };
            }
        }
    }

    /// Divides every chain of equal blocks in the best candidate anew, beside several places for what lies
    /// outside of chains.
    fn chains(&mut self) {
        let model = self.model;
        if model.chains.is_empty() {
            return;
        }
        let Ok(best) = self.pick() else { return };
        let rest = chain::rest(model);
        let mut found: Option<(Score, State<'m>)> = None;
        for start in chain::starts(&State::new(model, best.owner), &rest) {
            let mut state = self.divide(start);
            chain::settle(&mut state, &rest, &mut self.allowance);
            let score = score(&state, effort(model));
            let better = found.as_ref().is_none_or(|(known, _)| score < *known);
            if better && misses(&state).is_empty() {
                found = Some((score, state));
            }
        }
        if let Some((_, state)) = found {
            self.whole(Origin::Chain, &state);
        }
    }

    /// `state` with all chains divided.
    fn divide(&mut self, mut state: State<'m>) -> State<'m> {
        for chain in &self.model.chains {
            let seen: Vec<&[u8]> = self.found.iter().map(|c| c.owner.as_slice()).collect();
            if let Some(divided) = chain::divide(&state, chain, &seen, &mut self.allowance) {
                state = divided;
            }
        }
        state
    }

    /// Adds an assignment of whole blocks, as it is if it fits: repairs in haste would take them apart.
    fn whole(&mut self, origin: Origin, state: &State<'_>) {
        let owner = state.owner().to_vec();
        if self.found.iter().any(|known| known.owner == owner && known.origin != Origin::Cached) {
            return;
        }
        self.allowance.spend(self.model.judge_work());
        let judged = judge(state, Effort::Thorough);
        if judged.over.is_none() {
            self.found.push(Candidate { origin, owner, judged });
        } else {
            self.seed(origin, owner, None);
        }
    }

    /// Improves the seeds by local search; the most promising first, since the work is bounded.
    fn search(&mut self) {
        let mut starts: Vec<Candidate> = self.found.clone();
        starts.sort_by_key(|candidate| (candidate.score(), candidate.origin));
        starts.dedup_by(|a, b| a.owner == b.owner);
        for start in starts {
            if self.allowance.is_empty() {
                break;
            }
            let state = State::new(self.model, start.owner);
            let judged = match effort(self.model) {
                Effort::Thorough => start.judged,
                Effort::Quick => judge(&state, Effort::Quick),
            };
            if judged.over.is_some() {
                continue;
            }
            let (mut state, judged) = improve(state, judged, &mut self.allowance);
            let judged = match effort(self.model) {
                Effort::Thorough => Ok(judged),
                Effort::Quick => repair(&mut state, true, &mut self.allowance),
            };
            if let Ok(judged) = judged {
                let owner = state.owner().to_vec();
                self.found.push(Candidate { origin: Origin::Search, owner, judged });
            }
        }
    }

    /// Considers every assignment if there are few.
    fn exhaust(&mut self) {
        if exhaustive::count(self.model, self.options.exhaustive_limit).is_none() {
            return;
        }
        let known = self.pick().ok().map(|candidate| candidate.score());
        // None if nothing beats what is known, which is thereby the best.
        if let Some((owner, judged)) = exhaustive::search(self.model, known) {
            self.found.push(Candidate { origin: Origin::Exhaustive, owner, judged });
        }
    }
}
