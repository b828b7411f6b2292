//! The best division of units between two providers, as a minimum cut.
//!
//! Units that are on one of the two providers may change to the other; all others stay. One side of
//! the cut is the first provider, the other side the second. A unit's own costs are edges to the two
//! ends. A copy is paid once however many readers there are: a helper vertex per flow and direction
//! is forced over by any reader on the far side, and one edge between it and the maker carries the
//! cost. The division is optimal but for launches, which depend on the order of parts; `surcharge`
//! stands in for them by adding the launch of the receiving provider to each copy.

mod flow;

use flow::Network;

use crate::model::{Flow, From, Model};
use crate::state::State;

/// How the two providers divide their units best.
pub(crate) struct Division {
    /// Units that would change provider, with their new one.
    pub(crate) moves: Vec<(usize, usize)>,
    /// Edges that were visited to find it.
    pub(crate) work: u64,
}

/// The best division of the units that `a` and `b` have in `state`. None if it takes more than
/// `limit` visits.
pub(crate) fn divide(
    state: &State<'_>,
    (a, b): (usize, usize),
    surcharge: bool,
    limit: u64,
) -> Option<Division> {
    let model = state.model;
    let mut cut = Cut::new(state, a, b, surcharge);
    for (unit, entry) in model.units.iter().enumerate() {
        if let Some(vertex) = cut.vertex[unit] {
            cut.network.unary(vertex, entry.cost[a], entry.cost[b]);
        }
    }
    for flow in &model.flows {
        cut.add(flow);
    }
    let (first_side, work) = cut.network.minimum(limit)?;
    let moves = (0..model.units.len()).filter_map(|unit| {
        let to = if first_side[cut.vertex[unit]? as usize] { a } else { b };
        (to != state.owner_of(unit)).then_some((unit, to))
    });
    Some(Division { moves: moves.collect(), work })
}

struct Cut<'s, 'm> {
    state: &'s State<'m>,
    model: &'m Model,
    a: usize,
    b: usize,
    surcharge: bool,
    /// Per unit that may change, its vertex.
    vertex: Vec<Option<u32>>,
    network: Network,
}

/// A maker or a reader as the cut sees it.
#[derive(Clone, Copy)]
enum End {
    Free(u32),
    Fixed(usize),
}

impl<'s, 'm> Cut<'s, 'm> {
    fn new(state: &'s State<'m>, a: usize, b: usize, surcharge: bool) -> Self {
        let model = state.model;
        let mut network = Network::new();
        let free = |(unit, entry): (usize, &crate::model::Unit)| {
            let owner = state.owner_of(unit);
            let may = (owner == a || owner == b) && entry.allows(a) && entry.allows(b);
            may.then(|| network.vertex())
        };
        let vertex = model.units.iter().enumerate().map(free).collect();
        Self { state, model, a, b, surcharge, vertex, network }
    }

    fn end(&self, unit: u32) -> End {
        self.vertex[unit as usize]
            .map_or_else(|| End::Fixed(self.state.owner_of(unit as usize)), End::Free)
    }

    fn add(&mut self, flow: &Flow) {
        let maker = match flow.from {
            From::Home => End::Fixed(self.model.home),
            From::Unit(unit) => self.end(unit),
        };
        let mut free = Vec::new();
        let mut fixed = vec![false; self.model.domains];
        for &reader in &flow.to {
            match self.end(reader) {
                End::Free(vertex) => free.push(vertex),
                End::Fixed(provider) => fixed[self.model.domain[provider]] = true,
            }
        }
        if flow.home {
            fixed[self.model.domain[self.model.home]] = true;
        }
        match maker {
            End::Fixed(provider) => self.made_outside(flow, provider, &free, &fixed),
            End::Free(vertex) => self.made_inside(flow, vertex, &free, &fixed),
        }
    }

    /// What a copy from `from` to the free provider `to` costs, with the stand-in for its launch.
    fn copy(&self, flow: &Flow, from: usize, to: usize) -> i64 {
        let copy = self.model.copy(flow, from, self.model.domain[to]);
        let launch = if self.surcharge { self.model.launch[flow.class as usize][to] } else { 0 };
        copy + launch
    }

    fn made_outside(&mut self, flow: &Flow, maker: usize, free: &[u32], fixed: &[bool]) {
        let (a, b) = (self.a, self.b);
        let (here, there) = (self.model.domain[a], self.model.domain[b]);
        if free.is_empty() || here == there {
            return;
        }
        let home = self.model.domain[maker];
        if !fixed[here] && here != home {
            let fee = self.copy(flow, maker, a);
            self.network.if_any_first(free, fee);
        }
        if !fixed[there] && there != home {
            let fee = self.copy(flow, maker, b);
            self.network.if_any_second(free, fee);
        }
    }

    fn made_inside(&mut self, flow: &Flow, maker: u32, free: &[u32], fixed: &[bool]) {
        let (a, b) = (self.a, self.b);
        let (here, there) = (self.model.domain[a], self.model.domain[b]);
        let outside = |from: usize| -> i64 {
            let reached = (0..fixed.len()).filter(|&domain| fixed[domain]);
            reached.map(|domain| self.model.copy(flow, from, domain)).sum()
        };
        let (from_a, from_b) = (outside(a), outside(b));
        self.network.unary(maker, from_a, from_b);
        if free.is_empty() || (here == there && !self.surcharge) {
            return;
        }
        if !fixed[there] {
            let fee = self.copy(flow, a, b);
            self.network.across(maker, free, fee);
        }
        if !fixed[here] {
            let fee = self.copy(flow, b, a);
            self.network.back(maker, free, fee);
        }
    }
}
