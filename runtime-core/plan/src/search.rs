//! Local search: tries moves, keeps what lowers the whole cost, stops after a number of moves.
//!
//! A move is a set of units that change provider at once. Its additive change is known in the time
//! of its neighbours; only a move that could win back the rest in launches has its parts counted.
//! Launches are in the objective, so fragments too small to pay for themselves dissolve without any
//! rule about sizes.

mod moves;

use crate::judge::{Judged, Score, judge, over_by_weights, rank};
use crate::model::Model;
use crate::state::State;
use crate::waves::Effort;

/// Up to this many units every move is judged that the bounds do not rule out, and parts are
/// counted exactly.
pub(crate) const FEW_UNITS: usize = 24;

/// What the search may still spend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) moves: u64,
    pub(crate) work: u64,
}

impl Allowance {
    pub(crate) fn spend(&mut self, work: u64) {
        self.work = self.work.saturating_sub(work);
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(self) -> bool {
        self.moves == 0 || self.work == 0
    }
}

/// A feasible assignment that gets better.
#[derive(Debug)]
pub(crate) struct Search<'m, 'a> {
    model: &'m Model,
    state: State<'m>,
    judged: Judged,
    effort: Effort,
    allowance: &'a mut Allowance,
    undo: Vec<(usize, usize)>,
}

/// How parts are counted while searching in `model`.
pub(crate) fn effort(model: &Model) -> Effort {
    if model.units.len() <= FEW_UNITS { Effort::Thorough } else { Effort::Quick }
}

/// The best assignment that moves from `state`, which fits the budgets, lead to.
pub(crate) fn improve<'m>(
    state: State<'m>,
    judged: Judged,
    allowance: &mut Allowance,
) -> (State<'m>, Judged) {
    let model = state.model;
    let effort = effort(model);
    let mut search = Search { model, state, judged, effort, allowance, undo: Vec::new() };
    search.descend();
    let afresh = || State::new(model, search.state.owner().to_vec());
    debug_assert_eq!(search.state.base(), afresh().base(), "costs are kept up to date");
    (search.state, search.judged)
}

impl Search<'_, '_> {
    fn descend(&mut self) {
        let mut better = true;
        while better && !self.allowance.is_empty() {
            better =
                self.roles() || self.singles() || self.parts() || self.cuts() || self.neighbours();
            if !better && self.model.units.len() <= FEW_UNITS {
                better = self.exchanges();
            }
        }
    }

    /// Makes the moves if together they improve the score; otherwise changes nothing. What adds more
    /// to nodes and copies than launches can be expected to give back is not judged.
    fn attempt(&mut self, moves: &[(usize, usize)]) -> bool {
        let few = self.model.units.len() <= FEW_UNITS;
        let slack = if few { i64::MAX } else { self.slack(moves) };
        self.attempt_within(moves, slack)
    }

    /// The same, judged whatever it adds: for moves that change many parts at once.
    fn attempt_all(&mut self, moves: &[(usize, usize)]) -> bool {
        self.attempt_within(moves, i64::MAX)
    }

    fn attempt_within(&mut self, moves: &[(usize, usize)], slack: i64) -> bool {
        if self.allowance.is_empty() {
            return false;
        }
        let before = self.state.base();
        self.undo.clear();
        let mut touched = 0;
        for &(unit, provider) in moves {
            let old = self.state.owner_of(unit);
            let entry = &self.model.units[unit];
            if old != provider && entry.allows(provider) {
                self.undo.push((unit, old));
                self.state.shift(unit, provider);
                touched += 1 + entry.incoming.len() + entry.outgoing.len();
            }
        }
        self.allowance.spend(touched as u64);
        if !self.undo.is_empty() && self.hopeful(before, slack) && self.judge_and_keep() {
            return true;
        }
        for &(unit, old) in self.undo.iter().rev() {
            self.state.shift(unit, old);
        }
        false
    }

    /// Whether the parts are worth counting.
    fn hopeful(&self, before: i64, slack: i64) -> bool {
        let base = self.state.base();
        let floor = Score { cost: base + self.state.least_launch(), rank: rank(&self.state) };
        if floor >= self.judged.score || over_by_weights(&self.state).is_some() {
            return false;
        }
        base - before < slack
    }

    /// More than the moves can be expected to save in launches: two of each provider that gains or
    /// loses a unit, in every class.
    fn slack(&self, moves: &[(usize, usize)]) -> i64 {
        let mut concerned = 0u64;
        for &(unit, provider) in moves {
            concerned |= 1 << provider | 1 << self.state.owner_of(unit);
        }
        let concerned = (0..self.model.providers).filter(|&p| concerned >> p & 1 == 1);
        let launches = concerned.map(|p| self.model.launch.iter().map(|c| c[p]).sum::<i64>());
        2 * launches.sum::<i64>() + 1
    }

    fn judge_and_keep(&mut self) -> bool {
        self.allowance.moves = self.allowance.moves.saturating_sub(1);
        self.allowance.spend(self.model.judge_work());
        let judged = judge(&self.state, self.effort);
        let better = judged.over.is_none() && judged.score < self.judged.score;
        if better {
            self.judged = judged;
        }
        better
    }
}
