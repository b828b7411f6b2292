//! The best division of a chain of equal blocks, by dynamic programming.
//!
//! A language model is some dozens of equal layers in a row. For each block a few *patterns* are
//! considered: all of it on one provider, with the fallback for what that provider cannot have, and
//! whatever patterns other candidates use. What a pattern costs depends on the block alone, what a
//! change of pattern costs depends on the two neighbours alone, so the best sequence is found block
//! by block. Equal blocks weigh the same, which makes memory a count of blocks per pattern, so that
//! budgets hold exactly; weights that are packed differently from layer to layer count by their mean, and
//! whoever asks takes a division that does not fit as a reason to reserve more. Where that table would be
//! too large, neighbouring blocks are taken together.

mod table;

use remuda_base::{Map, Set};
use table::Limits;

use crate::judge::fixed_need;
use crate::model::{Flow, From, Model};
use crate::state::State;
use crate::waves::{Effort, cheapest};

/// Patterns that are considered at most.
const MOST_PATTERNS: usize = 6;

/// A provider for each unit of a block.
type Pattern = Vec<u8>;

/// The best division of `chain`, with everything outside it as in `state`; none if not even the
/// lightest pattern fits. `reserve` is room to leave on each provider for activations.
pub(crate) fn divide(
    state: &State<'_>,
    chain: &[Vec<u32>],
    seen: &[&[u8]],
    reserve: &[u64],
) -> Option<Vec<u8>> {
    let model = state.model;
    let patterns = patterns(model, chain, seen);
    let room = room(state, chain, reserve);
    let costs = Costs::new(state, chain, &patterns);
    let limits = Limits::new(model, chain, &patterns, &room);
    let choice = limits.best(&costs, chain.len(), patterns.len())?;
    let mut owner = state.owner().to_vec();
    for (block, pattern) in chain.iter().zip(choice) {
        for (&unit, &provider) in block.iter().zip(&patterns[pattern]) {
            owner[unit as usize] = provider;
        }
    }
    Some(owner)
}

/// Bytes that stay resident for a block, on average.
pub(crate) fn block_bytes(model: &Model, chain: &[Vec<u32>]) -> u64 {
    let weights = chain.iter().flatten().flat_map(|&unit| &model.units[unit as usize].weights);
    let bytes = weights.copied().collect::<Set<u32>>().into_iter();
    let bytes = bytes.map(|weight| model.prices.weights[weight as usize]);
    bytes.fold(0, u64::saturating_add).div_ceil(chain.len().max(1) as u64)
}

/// One pattern per provider, then those that `seen` assignments use most.
fn patterns(model: &Model, chain: &[Vec<u32>], seen: &[&[u8]]) -> Vec<Pattern> {
    let mut patterns: Vec<Pattern> = Vec::new();
    for provider in 0..model.providers {
        let pattern = chain[0].iter().map(|&unit| {
            let entry = &model.units[unit as usize];
            let wanted = [Some(provider), model.fallback].into_iter().flatten();
            let mut wanted = wanted.filter(|&provider| entry.allows(provider));
            wanted.next().or_else(|| entry.options().next()).unwrap_or(0) as u8
        });
        let pattern: Pattern = pattern.collect();
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    let mut uses: Map<Pattern, usize> = Map::new();
    for owner in seen {
        for block in chain {
            let pattern = block.iter().map(|&unit| owner[unit as usize]).collect();
            *uses.entry(pattern).or_default() += 1;
        }
    }
    let mut used: Vec<(usize, Pattern)> = uses.into_iter().map(|(p, n)| (n, p)).collect();
    used.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let fresh = used.into_iter().map(|(_, pattern)| pattern);
    let fresh: Vec<Pattern> = fresh.filter(|pattern| !patterns.contains(pattern)).collect();
    patterns.extend(fresh);
    patterns.truncate(MOST_PATTERNS.max(model.providers));
    patterns
}

/// Bytes left for the chain on each provider; none without a budget.
fn room(state: &State<'_>, chain: &[Vec<u32>], reserve: &[u64]) -> Vec<Option<u64>> {
    let model = state.model;
    let mut outside = state.clone();
    // With the chain in one place that is counted separately, what is left is needed outside it.
    let room = (0..model.providers).map(|provider| {
        let budget = model.budgets[provider]?;
        for &unit in chain.iter().flatten() {
            let elsewhere = (provider + 1) % model.providers;
            outside.shift(unit as usize, elsewhere);
        }
        let workspace = model.prices.workspace[provider];
        let weights = fixed_need(&outside, provider).max(outside.resident(provider) + workspace);
        Some(budget.saturating_sub(weights).saturating_sub(reserve[provider]))
    });
    room.collect()
}

/// What patterns cost.
struct Costs {
    /// Per block and pattern.
    own: Vec<Vec<i64>>,
    /// Per block but the last, and patterns of it and the next.
    step: Vec<Vec<Vec<i64>>>,
}

impl Costs {
    fn new(state: &State<'_>, chain: &[Vec<u32>], patterns: &[Pattern]) -> Self {
        let view = View::new(state, chain);
        let own = (0..chain.len())
            .map(|block| patterns.iter().map(|pattern| view.own(block, pattern)).collect())
            .collect();
        let step = (1..chain.len())
            .map(|next| {
                let row = |a| patterns.iter().map(|b| view.step(next - 1, a, b)).collect();
                patterns.iter().map(row).collect()
            })
            .collect();
        Self { own, step }
    }
}

/// A chain within its surroundings.
struct View<'s, 'm> {
    state: &'s State<'m>,
    chain: &'s [Vec<u32>],
    /// Per unit of the chain, its block and its place in it.
    place: Map<u32, (usize, usize)>,
    /// Per block, the flows that begin or end in it.
    flows: Vec<Vec<u32>>,
    /// Per flow, how many blocks that is.
    blocks: Map<u32, i64>,
}

impl<'s, 'm> View<'s, 'm> {
    fn new(state: &'s State<'m>, chain: &'s [Vec<u32>]) -> Self {
        let mut place = Map::new();
        let (mut flows, mut blocks) = (Vec::new(), Map::new());
        for (at, block) in chain.iter().enumerate() {
            let mut touching = Set::new();
            for (unit, slot) in block.iter().zip(0..) {
                place.insert(*unit, (at, slot));
                let entry = &state.model.units[*unit as usize];
                touching.extend(entry.incoming.iter().chain(&entry.outgoing).copied());
            }
            touching.iter().for_each(|&flow| *blocks.entry(flow).or_default() += 1);
            flows.push(touching.into_iter().collect());
        }
        Self { state, chain, place, flows, blocks }
    }

    /// The provider of `unit` if `block` has `pattern`; none if it is in another block.
    fn owner(&self, unit: u32, block: usize, pattern: &Pattern) -> Option<usize> {
        match self.place.get(&unit) {
            None => Some(self.state.owner_of(unit as usize)),
            Some(&(at, slot)) => (at == block).then(|| pattern[slot] as usize),
        }
    }

    /// Memories in which readers of `flow` sit, those outside the chain or in `block`.
    fn reached(&self, flow: &Flow, block: usize, pattern: &Pattern) -> Vec<bool> {
        let model = self.state.model;
        let mut reached = vec![false; model.domains];
        let readers = flow.to.iter().filter_map(|&unit| self.owner(unit, block, pattern));
        for provider in readers.chain(flow.home.then_some(model.home)) {
            reached[model.domain[provider]] = true;
        }
        reached
    }

    /// Units, copies and launches of `block` by itself.
    fn own(&self, block: usize, pattern: &Pattern) -> i64 {
        let model = self.state.model;
        let units = self.chain[block].iter().zip(pattern);
        let mut cost: i64 =
            units.map(|(&unit, &p)| model.units[unit as usize].cost[p as usize]).sum();
        for &at in &self.flows[block] {
            let flow = &model.flows[at as usize];
            let maker = match flow.from {
                From::Home => Some(model.home),
                From::Unit(unit) => self.owner(unit, block, pattern),
            };
            let Some(maker) = maker else { continue };
            let reached = self.reached(flow, block, pattern);
            let reached = (0..model.domains).filter(|&domain| reached[domain]);
            let copies = reached.map(|domain| model.copy(flow, maker, domain)).sum::<i64>();
            // What comes from outside is copied once for all blocks in a memory: they share it.
            let inside = matches!(flow.from, From::Unit(unit) if self.place.contains_key(&unit));
            let sharing = if inside { 1 } else { self.blocks.get(&at).copied().unwrap_or(1) };
            cost += copies / sharing;
        }
        cost + self.launches(pattern)
    }

    /// One launch for each change of provider in order of execution; an estimate, which the whole
    /// plan's parts replace in the end.
    fn launches(&self, pattern: &Pattern) -> i64 {
        let model = self.state.model;
        let launches = (0..model.classes()).map(|class| {
            let inside = self.chain[0].iter().zip(pattern).flat_map(|(&unit, &provider)| {
                let members = &model.units[unit as usize].members;
                members.iter().filter(move |m| m.0 as usize == class).map(move |m| (m.1, provider))
            });
            let owners: Map<u32, u8> = inside.collect();
            let order = model.graph.restricted(&owners);
            let owner: Vec<u8> = owners.into_values().collect();
            cheapest(&order, &owner, &model.launch[class], Effort::Quick).launch
        });
        launches.sum()
    }

    /// Copies from `block` with pattern `a` to the next with pattern `b`, less the launch that the
    /// two share if one ends where the other begins.
    fn step(&self, block: usize, a: &Pattern, b: &Pattern) -> i64 {
        let model = self.state.model;
        let mut cost = 0;
        for &at in &self.flows[block] {
            let flow = &model.flows[at as usize];
            let From::Unit(unit) = flow.from else { continue };
            if self.place.get(&unit).is_none_or(|place| place.0 != block) {
                continue;
            }
            let Some(maker) = self.owner(unit, block, a) else { continue };
            let known = self.reached(flow, block, a);
            for &reader in &flow.to {
                let Some(&(there, slot)) = self.place.get(&reader) else { continue };
                let domain = model.domain[b[slot] as usize];
                if there == block + 1 && !known[domain] {
                    cost += model.copy(flow, maker, domain);
                }
            }
        }
        let shared = a.last().zip(b.first()).filter(|(last, first)| last == first);
        let saved = shared
            .map_or(0, |(&last, _)| model.launch.iter().map(|class| class[last as usize]).sum());
        cost - saved
    }
}
