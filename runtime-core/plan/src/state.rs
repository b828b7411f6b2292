//! One assignment of units to providers, with its additive cost kept up to date.
//!
//! The additive part is everything but launches: the units' own costs and the copies, each counted
//! once per tensor and destination memory. Launches depend on the order of parts ([`crate::waves`]).

use crate::model::{Flow, From, Model};

/// An assignment and what follows from it move by move.
#[derive(Debug, Clone)]
pub(crate) struct State<'m> {
    pub(crate) model: &'m Model,
    owner: Vec<u8>,
    /// Per flow and memory: how many readers sit there.
    readers: Vec<u16>,
    pub(crate) compute: i64,
    pub(crate) transfer: i64,
    /// Per weight and provider: how many units need it there.
    holders: Vec<u32>,
    resident: Vec<u64>,
    /// Per provider and class: how many vertices it has.
    population: Vec<u32>,
}

impl<'m> State<'m> {
    /// The state of `owner`, one provider per unit.
    pub(crate) fn new(model: &'m Model, owner: Vec<u8>) -> Self {
        let mut state = Self {
            model,
            readers: vec![0; model.flows.len() * model.domains],
            compute: 0,
            transfer: 0,
            holders: vec![0; model.prices.weights.len() * model.providers],
            resident: vec![0; model.providers],
            population: vec![0; model.providers * model.classes()],
            owner,
        };
        for unit in 0..state.owner.len() {
            let provider = state.owner[unit] as usize;
            state.compute += model.units[unit].cost[provider];
            state.settle(unit, provider);
        }
        for (at, flow) in model.flows.iter().enumerate() {
            let readers = flow.to.iter().map(|&unit| state.owner[unit as usize] as usize);
            for provider in readers.chain(flow.home.then_some(model.home)) {
                state.readers[at * model.domains + model.domain[provider]] += 1;
            }
            state.transfer += state.flow_cost(at, flow, state.maker(flow));
        }
        state
    }

    /// Who has each unit.
    pub(crate) fn owner(&self) -> &[u8] {
        &self.owner
    }

    /// Who has `unit`.
    pub(crate) fn owner_of(&self, unit: usize) -> usize {
        self.owner[unit] as usize
    }

    /// The additive cost.
    pub(crate) fn base(&self) -> i64 {
        self.compute + self.transfer
    }

    /// Weight bytes on `provider`.
    pub(crate) fn resident(&self, provider: usize) -> u64 {
        self.resident[provider]
    }

    /// Whether `weight` is resident on `provider`.
    pub(crate) fn holds(&self, weight: usize, provider: usize) -> bool {
        self.holders[weight * self.model.providers + provider] > 0
    }

    /// How many vertices of `class` `provider` has.
    pub(crate) fn population(&self, class: usize, provider: usize) -> u32 {
        self.population[class * self.model.providers + provider]
    }

    /// One launch per provider and class in use: no order of parts has fewer.
    pub(crate) fn least_launch(&self) -> i64 {
        let model = self.model;
        let classes = (0..model.classes()).flat_map(|class| {
            (0..model.providers)
                .filter(move |&provider| self.population(class, provider) > 0)
                .map(move |provider| model.launch[class][provider])
        });
        classes.sum()
    }

    fn maker(&self, flow: &Flow) -> usize {
        match flow.from {
            From::Home => self.model.home,
            From::Unit(unit) => self.owner[unit as usize] as usize,
        }
    }

    fn reads(&self, flow: usize, domain: usize) -> u16 {
        self.readers[flow * self.model.domains + domain]
    }

    /// What the copies of a flow cost if `maker` makes it.
    fn flow_cost(&self, at: usize, flow: &Flow, maker: usize) -> i64 {
        (0..self.model.domains)
            .filter(|&domain| self.reads(at, domain) > 0)
            .map(|domain| self.model.copy(flow, maker, domain))
            .sum()
    }

    /// How compute and transfers would change if `unit` moved to `provider`.
    pub(crate) fn delta(&self, unit: usize, provider: usize) -> (i64, i64) {
        let (model, old) = (self.model, self.owner_of(unit));
        if old == provider {
            return (0, 0);
        }
        let entry = &model.units[unit];
        let mut transfer = 0;
        for &at in &entry.outgoing {
            let flow = &model.flows[at as usize];
            transfer += self.flow_cost(at as usize, flow, provider)
                - self.flow_cost(at as usize, flow, old);
        }
        let (here, there) = (model.domain[old], model.domain[provider]);
        if here != there {
            for &at in &entry.incoming {
                let flow = &model.flows[at as usize];
                let maker = self.maker(flow);
                if self.reads(at as usize, here) == 1 {
                    transfer -= model.copy(flow, maker, here);
                }
                if self.reads(at as usize, there) == 0 {
                    transfer += model.copy(flow, maker, there);
                }
            }
        }
        (entry.cost[provider] - entry.cost[old], transfer)
    }

    /// Moves `unit` to `provider`.
    pub(crate) fn shift(&mut self, unit: usize, provider: usize) {
        let (model, old) = (self.model, self.owner_of(unit));
        if old == provider {
            return;
        }
        let (compute, transfer) = self.delta(unit, provider);
        self.compute += compute;
        self.transfer += transfer;
        for &at in &model.units[unit].incoming {
            let row = at as usize * model.domains;
            self.readers[row + model.domain[old]] -= 1;
            self.readers[row + model.domain[provider]] += 1;
        }
        self.leave(unit, old);
        self.settle(unit, provider);
        self.owner[unit] = provider as u8;
    }

    fn settle(&mut self, unit: usize, provider: usize) {
        let model = self.model;
        for &weight in &model.units[unit].weights {
            let holders = &mut self.holders[weight as usize * model.providers + provider];
            if *holders == 0 {
                self.resident[provider] += model.prices.weights[weight as usize];
            }
            *holders += 1;
        }
        for &(class, _) in &model.units[unit].members {
            self.population[class as usize * model.providers + provider] += 1;
        }
    }

    fn leave(&mut self, unit: usize, provider: usize) {
        let model = self.model;
        for &weight in &model.units[unit].weights {
            let holders = &mut self.holders[weight as usize * model.providers + provider];
            *holders -= 1;
            if *holders == 0 {
                self.resident[provider] -= model.prices.weights[weight as usize];
            }
        }
        for &(class, _) in &model.units[unit].members {
            self.population[class as usize * model.providers + provider] -= 1;
        }
    }

    /// Weight bytes that would leave the unit's provider, and arrive at `provider`, with a move.
    pub(crate) fn weight_shift(&self, unit: usize, provider: usize) -> (u64, u64) {
        let (model, old) = (self.model, self.owner_of(unit));
        let (mut freed, mut added) = (0, 0);
        for &weight in &model.units[unit].weights {
            let row = weight as usize * model.providers;
            let bytes = model.prices.weights[weight as usize];
            freed += if self.holders[row + old] == 1 { bytes } else { 0 };
            added += if self.holders[row + provider] == 0 { bytes } else { 0 };
        }
        (freed, added)
    }
}
