//! All assignments, where there are few: depth-first with bounds.
//!
//! A partial assignment costs at least its own units and copies, the cheapest choice of every unit
//! not yet assigned, and one launch per provider in use. What cannot beat the best known plan by
//! that bound is not looked at, so far fewer than all assignments are judged.

use crate::judge::{Judged, Score, judge, rank};
use crate::model::{From, Model};
use crate::state::State;
use crate::waves::Effort;

/// How many assignments there are, up to `limit`; none if more.
pub(crate) fn count(model: &Model, limit: u64) -> Option<u64> {
    let mut total = 1u64;
    for unit in &model.units {
        total = total.checked_mul(u64::from(unit.allowed.count_ones()))?;
        if total > limit {
            return None;
        }
    }
    Some(total)
}

/// The best assignment of all, if it beats `known`.
pub(crate) fn search(model: &Model, known: Option<Score>) -> Option<(Vec<u8>, Judged)> {
    let count = model.units.len();
    let mut rest = vec![0; count + 1];
    for (unit, entry) in model.units.iter().enumerate().rev() {
        let cheapest = entry.options().map(|provider| entry.cost[provider]).min();
        rest[unit] = rest[unit + 1] + cheapest.unwrap_or(0);
    }
    let mut walk = Walk {
        model,
        rest,
        owner: vec![0; count],
        readers: vec![0; model.flows.len() * model.domains],
        population: vec![0; model.providers * model.classes()],
        best: known,
        found: None,
    };
    for flow in 0..model.flows.len() {
        if model.flows[flow].home {
            walk.readers[flow * model.domains + model.domain[model.home]] += 1;
        }
    }
    walk.descend(0, 0);
    walk.found
}

struct Walk<'m> {
    model: &'m Model,
    /// Per unit, the least that it and all later ones cost by themselves.
    rest: Vec<i64>,
    owner: Vec<u8>,
    readers: Vec<u16>,
    population: Vec<u32>,
    best: Option<Score>,
    found: Option<(Vec<u8>, Judged)>,
}

impl Walk<'_> {
    fn descend(&mut self, unit: usize, cost: i64) {
        let model = self.model;
        if unit == model.units.len() {
            self.leaf();
            return;
        }
        for provider in model.units[unit].options() {
            self.owner[unit] = provider as u8;
            let added = model.units[unit].cost[provider] + self.enter(unit, provider);
            let floor = cost + added + self.rest[unit + 1] + self.least_launch();
            if self.best.is_none_or(|best| floor <= best.cost) {
                self.descend(unit + 1, cost + added);
            }
            self.exit(unit, provider);
        }
    }

    /// Adds `unit` on `provider`; the copies between it and the units before it.
    fn enter(&mut self, unit: usize, provider: usize) -> i64 {
        let model = self.model;
        let domain = model.domain[provider];
        let mut copies = 0;
        for &at in &model.units[unit].incoming {
            let flow = &model.flows[at as usize];
            let readers = &mut self.readers[at as usize * model.domains + domain];
            *readers += 1;
            let fresh = *readers == 1;
            let maker = match flow.from {
                From::Home => Some(model.home),
                From::Unit(maker) => {
                    ((maker as usize) < unit).then(|| self.owner[maker as usize] as usize)
                }
            };
            if let (true, Some(maker)) = (fresh, maker) {
                copies += model.copy(flow, maker, domain);
            }
        }
        for &at in &model.units[unit].outgoing {
            let row = at as usize * model.domains;
            for there in (0..model.domains).filter(|&there| self.readers[row + there] > 0) {
                copies += model.copy(&model.flows[at as usize], provider, there);
            }
        }
        for &(class, _) in &model.units[unit].members {
            self.population[class as usize * model.providers + provider] += 1;
        }
        copies
    }

    fn exit(&mut self, unit: usize, provider: usize) {
        let model = self.model;
        for &at in &model.units[unit].incoming {
            self.readers[at as usize * model.domains + model.domain[provider]] -= 1;
        }
        for &(class, _) in &model.units[unit].members {
            self.population[class as usize * model.providers + provider] -= 1;
        }
    }

    fn least_launch(&self) -> i64 {
        let model = self.model;
        let used = self.population.iter().enumerate().filter(|&(_, &count)| count > 0);
        used.map(|(at, _)| model.launch[at / model.providers][at % model.providers]).sum()
    }

    fn leaf(&mut self) {
        let state = State::new(self.model, self.owner.clone());
        let floor = Score { cost: state.base() + state.least_launch(), rank: rank(&state) };
        if self.best.is_some_and(|best| floor >= best) {
            return;
        }
        let judged = judge(&state, Effort::Thorough);
        if judged.over.is_none() && self.best.is_none_or(|best| judged.score < best) {
            self.best = Some(judged.score);
            self.found = Some((self.owner.clone(), judged));
        }
    }
}
