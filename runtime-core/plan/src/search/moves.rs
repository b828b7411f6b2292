//! The moves, from large to small: a role in all equal blocks, one unit, a whole part or a connected
//! piece of it, a new division between two providers, the two ends of a flow, two units that change places.

use super::Search;
use crate::cut::divide;
use crate::graph::Joined;
use crate::model::From;

impl Search<'_, '_> {
    /// The same unit of all equal blocks at once, and all units of all blocks at once.
    pub(super) fn roles(&mut self) -> bool {
        let model = self.model;
        let mut better = false;
        for provider in 0..model.providers {
            for chain in &model.chains {
                let all: Vec<(usize, usize)> =
                    chain.iter().flatten().map(|&unit| (unit as usize, provider)).collect();
                better |= self.attempt(&all);
            }
        }
        for role in &model.roles {
            for provider in 0..model.providers {
                let all: Vec<(usize, usize)> =
                    role.iter().map(|&unit| (unit as usize, provider)).collect();
                better |= self.attempt(&all);
            }
        }
        better
    }

    /// One unit, those first that gain most.
    pub(super) fn singles(&mut self) -> bool {
        let model = self.model;
        let small = model.units.len() <= super::FEW_UNITS;
        let mut ways = Vec::new();
        for (unit, entry) in model.units.iter().enumerate() {
            self.allowance.spend(1 + (entry.incoming.len() + entry.outgoing.len()) as u64);
            for provider in entry.options() {
                let (compute, transfer) = self.state.delta(unit, provider);
                let change = compute + transfer;
                let near = small
                    || change < 0
                    || (change < self.slack(&[(unit, provider)]) && self.touches(unit, provider));
                if provider != self.state.owner_of(unit) && near {
                    ways.push((change, provider, unit));
                }
            }
        }
        ways.sort_unstable();
        let mut better = false;
        for (_, provider, unit) in ways {
            better |= self.attempt(&[(unit, provider)]);
        }
        better
    }

    /// Whether a unit next to `unit` is on `provider`.
    fn touches(&self, unit: usize, provider: usize) -> bool {
        let model = self.model;
        let entry = &model.units[unit];
        let made = entry.incoming.iter().any(|&flow| match model.flows[flow as usize].from {
            From::Home => provider == model.home,
            From::Unit(maker) => self.state.owner_of(maker as usize) == provider,
        });
        made || entry.outgoing.iter().any(|&flow| {
            let flow = &model.flows[flow as usize];
            flow.to.iter().any(|&reader| self.state.owner_of(reader as usize) == provider)
        })
    }

    /// A whole part, then each connected piece of it.
    pub(super) fn parts(&mut self) -> bool {
        let model = self.model;
        let mut better = false;
        for class in 0..model.classes() {
            for piece in self.pieces(class) {
                for provider in 0..model.providers {
                    let moves: Vec<(usize, usize)> =
                        piece.iter().map(|&unit| (unit as usize, provider)).collect();
                    better |= self.attempt(&moves);
                }
            }
        }
        better
    }

    /// The parts of `class` and, where they differ, their connected pieces, as units.
    fn pieces(&self, class: usize) -> Vec<Vec<u32>> {
        let model = self.model;
        let waves = &self.judged.waves[class];
        let graph = &model.graph;
        let mut joined = Joined::new(graph.len());
        for vertex in 0..graph.len() {
            for &next in graph.succs.of(vertex) {
                if waves.wave_of[vertex] == waves.wave_of[next as usize] {
                    joined.join(vertex as u32, next);
                }
            }
        }
        let mut parts = vec![Vec::new(); waves.sequence.len()];
        let mut pieces = vec![Vec::new(); graph.len()];
        for vertex in 0..graph.len() {
            let unit = model.unit_of[class][vertex];
            parts[waves.wave_of[vertex] as usize].push(unit);
            pieces[joined.find(vertex as u32) as usize].push(unit);
        }
        let whole = parts.len();
        parts.extend(pieces.into_iter().filter(|piece| piece.len() > 1));
        let mut seen = remuda_base::Set::new();
        let keep = |at: usize, part: &Vec<u32>| at < whole || part.len() > 1;
        let all = parts.into_iter().enumerate().filter(|(at, part)| keep(*at, part));
        all.map(|(_, part)| part).filter(|part| seen.insert(part.clone())).collect()
    }

    /// A new division of the units of two providers.
    pub(super) fn cuts(&mut self) -> bool {
        let providers = self.model.providers;
        let mut better = false;
        for a in 0..providers {
            for b in a + 1..providers {
                for surcharge in [true, false] {
                    let limit = self.allowance.work;
                    let Some(division) = divide(&self.state, (a, b), surcharge, limit) else {
                        return better;
                    };
                    self.allowance.spend(division.work);
                    better |= self.attempt_all(&division.moves);
                }
            }
        }
        better
    }

    /// The two ends of a flow.
    pub(super) fn neighbours(&mut self) -> bool {
        let model = self.model;
        let mut better = false;
        for flow in &model.flows {
            let From::Unit(maker) = flow.from else { continue };
            for &reader in &flow.to {
                for provider in model.units[maker as usize].options() {
                    let pair = [(maker as usize, provider), (reader as usize, provider)];
                    let moved = pair.iter().any(|&(u, p)| self.state.owner_of(u) != p);
                    better |= moved && self.attempt(&pair);
                }
            }
        }
        better
    }

    /// Two units at once, each to any provider: what tight budgets need. For small graphs only.
    pub(super) fn exchanges(&mut self) -> bool {
        let model = self.model;
        for first in 0..model.units.len() {
            for second in first + 1..model.units.len() {
                for to in model.units[first].options() {
                    for back in model.units[second].options() {
                        if self.attempt(&[(first, to), (second, back)]) {
                            return true;
                        }
                    }
                }
            }
        }
        false
    }
}
