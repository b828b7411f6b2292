//! Gathers seeds, improves them, and picks one.

use crate::exhaustive;
use crate::judge::{Judged, Over, Score, judge};
use crate::model::Model;
use crate::options::{Options, Policy};
use crate::plan::Origin;
use crate::repair::repair;
use crate::search::{Allowance, effort, improve};
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
pub(super) struct Candidates<'m> {
    model: &'m Model,
    options: &'m Options,
    found: Vec<Candidate>,
    nearest: Option<Over>,
}

impl<'m> Candidates<'m> {
    pub(super) fn new(model: &'m Model, options: &'m Options) -> Self {
        Self { model, options, found: Vec::new(), nearest: None }
    }

    /// The best candidate; if none fits the budgets, the budget that was missed by least.
    pub(super) fn best(&mut self, cached: Option<Vec<u8>>) -> Result<Candidate, Over> {
        if self.options.policy == Policy::Priority {
            self.seed(Origin::Priority, seeds::by_priority(self.model));
            if self.found.is_empty() {
                self.seeds();
            }
            return self.pick();
        }
        if let Some(owner) = cached {
            self.cached(owner);
        }
        self.seeds();
        self.search();
        self.exhaust();
        let best = self.pick()?;
        Ok(self.keep_cached(best))
    }

    fn pick(&self) -> Result<Candidate, Over> {
        let best = self.found.iter().min_by_key(|candidate| (candidate.score(), candidate.origin));
        best.cloned().ok_or(self.nearest.unwrap_or(Over { provider: 0, needed: 0, budget: 0 }))
    }

    /// The cached plan, unless `best` is better by the threshold.
    fn keep_cached(&self, best: Candidate) -> Candidate {
        let cached = self.found.iter().find(|candidate| candidate.origin == Origin::Cached);
        let Some(cached) = cached else { return best };
        let keep = 100u64.saturating_sub(self.options.replace_percent);
        let threshold = i128::from(cached.score().cost) * i128::from(keep);
        let clearly = i128::from(best.score().cost) * 100 < threshold;
        if clearly { best } else { cached.clone() }
    }

    fn cached(&mut self, owner: Vec<u8>) {
        let judged = judge(&State::new(self.model, owner.clone()), Effort::Thorough);
        if judged.over.is_none() {
            self.found.push(Candidate { origin: Origin::Cached, owner, judged });
        }
    }

    fn seeds(&mut self) {
        for (origin, owner) in seeds::simple(self.model) {
            self.seed(origin, owner);
        }
        self.seed(Origin::Priority, seeds::by_priority(self.model));
    }

    /// Adds a seed, made to fit; not if it is there already.
    fn seed(&mut self, origin: Origin, owner: Vec<u8>) {
        if self.found.iter().any(|known| known.owner == owner && known.origin != Origin::Cached) {
            return;
        }
        let mut state = State::new(self.model, owner);
        match repair(&mut state, Effort::Thorough) {
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

    /// Improves the seeds by local search; the most promising first, since the work is bounded.
    fn search(&mut self) {
        let mut starts: Vec<Candidate> = self.found.clone();
        starts.sort_by_key(|candidate| (candidate.score(), candidate.origin));
        starts.dedup_by(|a, b| a.owner == b.owner);
        let mut allowance = Allowance {
            moves: self.options.moves_per_node.saturating_mul(self.model.units.len() as u64),
            work: self.options.work_limit,
        };
        for start in starts {
            if allowance.is_empty() {
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
            let (state, judged) = improve(state, judged, &mut allowance);
            let judged = match effort(self.model) {
                Effort::Thorough => judged,
                Effort::Quick => judge(&state, Effort::Thorough),
            };
            if judged.over.is_none() {
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
