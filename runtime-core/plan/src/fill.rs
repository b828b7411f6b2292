//! The order of the providers where not everything fits: whole blocks, from the front.
//!
//! Room that is filled node by node ends in the middle of a layer, at another place in every shape class, and
//! what is moved off again to fit tears more layers apart: dozens of parts, each with its copies. So blocks are
//! given out as a whole and in order of execution, in all classes at once: the first provider gets as many as
//! its memory holds with all buffers in their places, the next as many of the others. What lies outside of
//! blocks (embeddings, heads) gets the room that is left, and only where execution does not come back for it
//! to a provider that it has left.

use crate::judge::{fits, rank, weights_fit};
use crate::model::{Model, Unit};
use crate::search::Allowance;
use crate::state::State;
use crate::waves::Effort;

/// Assignments of what lies outside of blocks that are judged at most.
const MOST_TRIES: usize = 64;

/// Where a unit is as long as nobody preferred has room for it: the fallback, else the last that may have it.
pub(crate) fn at_rest(model: &Model, unit: &Unit) -> usize {
    let fallback = model.fallback.filter(|&fallback| unit.allows(fallback));
    fallback.or_else(|| unit.options().last()).unwrap_or(0)
}

/// The provider that keeps what fits nowhere else; its budget is not looked at.
pub(crate) fn resting(model: &Model) -> usize {
    let last = || model.units.iter().filter_map(|unit| unit.options().last()).max();
    model.fallback.or_else(last).unwrap_or(0)
}

/// The assignment of whole blocks, each to the first provider that has room.
pub(crate) fn fill(model: &Model, effort: Effort, allowance: &mut Allowance) -> Vec<u8> {
    let mut filling = Filling::new(model, effort, allowance);
    filling.blocks();
    let (behind, before) = filling.outside();
    filling.settle(&behind, Side::Behind);
    filling.settle(&before, Side::Before);
    filling.state.owner().to_vec()
}

/// Where the nodes of a block go that its provider refuses.
#[derive(Clone, Copy)]
enum Refused {
    /// To the next provider that may have them.
    Next,
    /// To where all is that nobody has room for.
    AtRest,
}

/// Where a vertex outside of blocks lies: behind a block that it depends on, or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Behind,
    Before,
}

struct Filling<'m, 'a> {
    model: &'m Model,
    state: State<'m>,
    resting: usize,
    effort: Effort,
    allowance: &'a mut Allowance,
    /// Per vertex, how far down the list of providers execution has come there: the provider that was to have
    /// it, even if that refuses it.
    place: Vec<usize>,
    in_block: Vec<bool>,
    /// Per vertex: it is in a block or depends on one.
    is_behind: Vec<bool>,
    tries: usize,
}

impl<'m, 'a> Filling<'m, 'a> {
    fn new(model: &'m Model, effort: Effort, allowance: &'a mut Allowance) -> Self {
        let owner = model.units.iter().map(|unit| at_rest(model, unit) as u8).collect();
        let mut in_block = vec![false; model.graph.len()];
        for &vertex in model.blocks.iter().flatten() {
            in_block[vertex as usize] = true;
        }
        let mut is_behind = in_block.clone();
        for &vertex in &model.graph.topo {
            let mut earlier = model.graph.preds.of(vertex as usize).iter();
            is_behind[vertex as usize] |= earlier.any(|&before| is_behind[before as usize]);
        }
        Self {
            model,
            state: State::new(model, owner),
            resting: resting(model),
            effort,
            allowance,
            place: vec![resting(model); model.graph.len()],
            in_block,
            is_behind,
            tries: MOST_TRIES,
        }
    }

    /// Gives out blocks from the front.
    fn blocks(&mut self) {
        let mut first = 0;
        for provider in 0..self.resting {
            let before = self.state.clone();
            let mut count = self.most(first, provider, Refused::Next);
            if first + count < self.model.blocks.len() {
                // The next provider may lack room for what this one refuses, and so hold back its layers.
                let next = std::mem::replace(&mut self.state, before);
                let other = self.most(first, provider, Refused::AtRest);
                if rank(&self.state) < rank(&next) {
                    count = other;
                } else {
                    self.state = next;
                }
            }
            for &vertex in self.model.blocks[first..first + count].iter().flatten() {
                self.place[vertex as usize] = provider;
            }
            first += count;
        }
    }

    /// Gives `provider` as many of the blocks from `first` on as it has room for, and tells how many.
    fn most(&mut self, first: usize, provider: usize, refused: Refused) -> usize {
        let before = self.state.clone();
        let (mut fit, mut over) = (0, self.model.blocks.len() - first + 1);
        // All of them are tried first: there may be room enough.
        let mut count = over - 1;
        let mut fitting = before.clone();
        while fit < count {
            self.state = before.clone();
            self.give(first, count, provider, refused);
            if self.fits() {
                fit = count;
                fitting = self.state.clone();
            } else {
                over = count;
            }
            count = fit + (over - fit) / 2;
        }
        self.state = fitting;
        fit
    }

    /// Puts `count` blocks on a provider.
    fn give(&mut self, first: usize, count: usize, provider: usize, refused: Refused) {
        let model = self.model;
        for &vertex in model.blocks[first..first + count].iter().flatten() {
            for unit in units(model, vertex) {
                let entry = &model.units[unit];
                let next = || entry.options().find(|&other| other > provider);
                let owner = match refused {
                    _ if entry.allows(provider) => provider,
                    Refused::Next => next().unwrap_or_else(|| at_rest(model, entry)),
                    Refused::AtRest => at_rest(model, entry),
                };
                self.state.shift(unit, owner);
            }
        }
    }

    fn fits(&mut self) -> bool {
        self.allowance.spend(self.model.judge_work());
        fits(&self.state, self.resting, self.effort)
    }

    /// The vertices outside of blocks: those behind one, then the others, the nearest to blocks first.
    fn outside(&self) -> (Vec<u32>, Vec<u32>) {
        let topo = self.model.graph.topo.iter().copied();
        let outside = topo.filter(|&vertex| !self.in_block[vertex as usize]);
        let (behind, mut before): (Vec<u32>, Vec<u32>) =
            outside.partition(|&vertex| self.is_behind[vertex as usize]);
        before.reverse();
        (behind, before)
    }

    /// Moves `vertices` to the first providers that have room. What fits by weight may not fit with its
    /// buffers; then one half goes before the other, down to single vertices.
    fn settle(&mut self, vertices: &[u32], side: Side) {
        if vertices.is_empty() || self.tries == 0 {
            return;
        }
        let before = (self.state.clone(), self.place.clone());
        let mut moved = false;
        for &vertex in vertices {
            moved |= self.take(vertex, self.floor(vertex, side));
        }
        if !moved {
            return;
        }
        self.tries -= 1;
        if self.fits() {
            return;
        }
        (self.state, self.place) = before;
        match vertices {
            [only] => self.settle_alone(*only, side),
            _ => {
                let (first, second) = vertices.split_at(vertices.len() / 2);
                self.settle(first, side);
                self.settle(second, side);
            }
        }
    }

    /// Moves a vertex to the first provider that has room for it and its buffers.
    fn settle_alone(&mut self, vertex: u32, side: Side) {
        let mut from = self.floor(vertex, side) + 1;
        while self.tries > 0 && from < self.resting {
            let before = self.state.clone();
            if !self.take(vertex, from) {
                return;
            }
            self.tries -= 1;
            if self.fits() {
                return;
            }
            self.state = before;
            from = self.place[vertex as usize] + 1;
            self.place[vertex as usize] = self.resting;
        }
    }

    /// The first provider that a vertex may have without a way back: none before what it depends on, or before
    /// all that depends on it.
    fn floor(&self, vertex: u32, side: Side) -> usize {
        let graph = &self.model.graph;
        let place = |vertex: &&u32| self.place[**vertex as usize];
        let is_behind = |vertex: &&u32| self.is_behind[**vertex as usize];
        let floor = match side {
            Side::Behind => {
                let earlier = graph.preds.of(vertex as usize).iter();
                earlier.filter(is_behind).map(|vertex| place(&vertex)).max()
            }
            Side::Before => {
                graph.succs.of(vertex as usize).iter().map(|vertex| place(&vertex)).min()
            }
        };
        floor.unwrap_or(0)
    }

    /// Moves a vertex to the first provider from `floor` on with room for its weights. Whether anything moved.
    fn take(&mut self, vertex: u32, floor: usize) -> bool {
        let model = self.model;
        let mut refused = true;
        for provider in floor..self.resting {
            let old: Vec<(usize, usize)> =
                units(model, vertex).map(|unit| (unit, self.state.owner_of(unit))).collect();
            let allowed = || old.iter().filter(|(unit, _)| model.units[*unit].allows(provider));
            allowed().for_each(|&(unit, _)| self.state.shift(unit, provider));
            if allowed().next().is_none() {
                continue;
            }
            refused = false;
            if weights_fit(&self.state, self.resting) {
                self.place[vertex as usize] = provider;
                return true;
            }
            old.iter().for_each(|&(unit, owner)| self.state.shift(unit, owner));
        }
        self.place[vertex as usize] = if refused { floor } else { self.resting };
        false
    }
}

/// The units of a vertex, one or one per class.
fn units(model: &Model, vertex: u32) -> impl Iterator<Item = usize> {
    model.unit_of.iter().map(move |of_class| of_class[vertex as usize] as usize)
}
