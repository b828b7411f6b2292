//! What a chain costs by its patterns: per block, per pair of neighbours, and once for all blocks.
//!
//! A tensor from outside that several blocks read (positions, masks) is copied into a memory once,
//! whoever reads it first there. Launches are counted on blocks, pairs of blocks, and the ends with
//! their neighbours outside: an estimate, which the whole plan's parts replace in the end.

use remuda_base::{Map, Set};

use super::Pattern;
use crate::model::{Flow, From, Model};
use crate::search::effort;
use crate::state::State;
use crate::waves::cheapest;

/// What patterns cost.
pub(super) struct Costs {
    pub(super) blocks: usize,
    /// Per block and pattern.
    pub(super) own: Vec<Vec<i64>>,
    /// Per block but the last, and patterns of it and the next.
    pub(super) step: Vec<Vec<Vec<i64>>>,
    shared: Vec<Shared>,
}

/// A tensor from outside that several blocks read.
struct Shared {
    /// Per memory, what the copy costs; nothing where it is anyway.
    copy: Vec<i64>,
    /// Per pattern, the memories in which it is read.
    read: Vec<u64>,
}

impl Costs {
    pub(super) fn new(state: &State<'_>, chain: &[Vec<u32>], patterns: &[Pattern]) -> Self {
        let view = View::new(state, chain);
        let own = |block| patterns.iter().map(|pattern| view.own(block, pattern)).collect();
        let mut own: Vec<Vec<i64>> = (0..chain.len()).map(own).collect();
        let launches = Launches::new(&view, patterns);
        launches.add_to(&mut own);
        let step = |block: usize| {
            let pair = |a: usize, b: usize| {
                view.step(block, &patterns[a], &patterns[b]) + launches.pair[a][b]
            };
            let row = |a| (0..patterns.len()).map(|b| pair(a, b)).collect();
            (0..patterns.len()).map(row).collect()
        };
        Self {
            blocks: chain.len(),
            own,
            step: (1..chain.len()).map(|next| step(next - 1)).collect(),
            shared: view.shared(patterns),
        }
    }

    /// The memories in which a pattern reads each shared tensor.
    pub(super) fn read(&self, pattern: usize) -> Vec<u64> {
        self.shared.iter().map(|shared| shared.read[pattern]).collect()
    }

    /// What the copies of shared tensors cost if these patterns are used.
    pub(super) fn charge(&self, used: &[usize]) -> i64 {
        let copies = self.shared.iter().map(|shared| {
            let read = used.iter().fold(0, |all, &pattern| all | shared.read[pattern]);
            bits(read).map(|domain| shared.copy[domain]).sum::<i64>()
        });
        copies.sum()
    }

    /// What a block with `pattern` costs beside neighbours with `before` and `after`.
    pub(super) fn beside(
        &self,
        block: usize,
        pattern: usize,
        before: Option<usize>,
        after: Option<usize>,
    ) -> i64 {
        let before = before.map_or(0, |before| self.step[block - 1][before][pattern]);
        let after = after.map_or(0, |after| self.step[block][pattern][after]);
        self.own[block][pattern] + before + after
    }
}

/// The numbers of the bits that are set.
fn bits(mask: u64) -> impl Iterator<Item = usize> {
    (0..u64::BITS as usize).filter(move |bit| mask >> bit & 1 == 1)
}

/// A chain within its surroundings.
struct View<'s, 'm> {
    state: &'s State<'m>,
    chain: &'s [Vec<u32>],
    links: Vec<Link<'m>>,
    /// Per block, its links.
    touching: Vec<Vec<usize>>,
}

/// A flow that begins or ends in the chain.
struct Link<'m> {
    flow: &'m Flow,
    maker: Maker,
    /// Memories in which it is needed outside the chain.
    outside: u64,
    /// Block and place of each reader in the chain.
    readers: Vec<(usize, usize)>,
    blocks: usize,
}

enum Maker {
    Outside(usize),
    /// A block, and the place in it.
    Block(usize, usize),
}

impl Link<'_> {
    fn is_shared(&self) -> bool {
        matches!(self.maker, Maker::Outside(_)) && self.blocks > 1
    }

    /// The memories in which a block with `pattern` reads it.
    fn read_in(&self, model: &Model, block: usize, pattern: &Pattern) -> u64 {
        let mine = self.readers.iter().filter(|reader| reader.0 == block);
        mine.fold(0, |all, &(_, place)| all | 1 << model.domain[pattern[place] as usize])
    }
}

impl<'s, 'm> View<'s, 'm> {
    fn new(state: &'s State<'m>, chain: &'s [Vec<u32>]) -> Self {
        let mut place = Map::new();
        let mut known: Map<u32, usize> = Map::new();
        let (mut flows, mut touching) = (Vec::new(), Vec::new());
        for (at, block) in chain.iter().enumerate() {
            let mut mine = Set::new();
            for (&unit, slot) in block.iter().zip(0..) {
                place.insert(unit, (at, slot));
                let entry = &state.model.units[unit as usize];
                for &flow in entry.incoming.iter().chain(&entry.outgoing) {
                    let fresh = flows.len();
                    let link = *known.entry(flow).or_insert(fresh);
                    flows.extend((link == fresh).then_some(flow));
                    mine.insert(link);
                }
            }
            touching.push(mine.into_iter().collect());
        }
        let links = flows.into_iter().map(|flow| link(state, &place, flow)).collect();
        let mut view = Self { state, chain, links, touching };
        for link in view.touching.iter().flatten() {
            view.links[*link].blocks += 1;
        }
        view
    }

    fn copies(&self, link: &Link<'_>, maker: usize, domains: u64) -> i64 {
        let model = self.state.model;
        bits(domains).map(|domain| model.copy(link.flow, maker, domain)).sum()
    }

    /// Units and copies of `block` by itself.
    fn own(&self, block: usize, pattern: &Pattern) -> i64 {
        let model = self.state.model;
        let units = self.chain[block].iter().zip(pattern);
        let mut cost: i64 =
            units.map(|(&unit, &p)| model.units[unit as usize].cost[p as usize]).sum();
        for link in self.touching[block].iter().map(|&at| &self.links[at]) {
            let maker = match link.maker {
                Maker::Block(at, place) if at == block => pattern[place] as usize,
                Maker::Outside(maker) if !link.is_shared() => maker,
                _ => continue,
            };
            let read = link.outside | link.read_in(model, block, pattern);
            cost += self.copies(link, maker, read);
        }
        cost
    }

    /// Copies from `block` with pattern `a` to the next with pattern `b`.
    fn step(&self, block: usize, a: &Pattern, b: &Pattern) -> i64 {
        let model = self.state.model;
        let mut cost = 0;
        for link in self.touching[block].iter().map(|&at| &self.links[at]) {
            let Maker::Block(at, place) = link.maker else { continue };
            if at == block {
                let known = link.outside | link.read_in(model, block, a);
                let next = link.read_in(model, block + 1, b) & !known;
                cost += self.copies(link, a[place] as usize, next);
            }
        }
        cost
    }

    fn shared(&self, patterns: &[Pattern]) -> Vec<Shared> {
        let model = self.state.model;
        let shared = self.links.iter().filter_map(|link| {
            let Maker::Outside(maker) = link.maker else { return None };
            let copy = |domain: usize| match link.outside >> domain & 1 {
                1 => 0,
                _ => model.copy(link.flow, maker, domain),
            };
            let read = |pattern: &Pattern| {
                let domains = link.readers.iter().map(|reader| pattern[reader.1] as usize);
                domains.fold(0, |all, provider| all | 1 << model.domain[provider])
            };
            link.is_shared().then(|| Shared {
                copy: (0..model.domains).map(copy).collect(),
                read: patterns.iter().map(read).collect(),
            })
        });
        shared.collect()
    }

    /// Launches of these units alone.
    fn launches(&self, units: impl Iterator<Item = (u32, u8)> + Clone) -> i64 {
        let model = self.state.model;
        let launches = (0..model.classes()).map(|class| {
            let members = units.clone().flat_map(|(unit, provider)| {
                let members = &model.units[unit as usize].members;
                members.iter().filter(move |m| m.0 as usize == class).map(move |m| (m.1, provider))
            });
            let owners: Map<u32, u8> = members.collect();
            let order = model.graph.restricted(&owners);
            let owner: Vec<u8> = owners.into_values().collect();
            cheapest(&order, &owner, &model.launch[class], effort(model)).launch
        });
        launches.sum()
    }

    fn with<'p>(
        &'p self,
        block: usize,
        pattern: &'p Pattern,
    ) -> impl Iterator<Item = (u32, u8)> + Clone + 'p {
        self.chain[block].iter().copied().zip(pattern.iter().copied())
    }

    /// The units outside the chain from which `block` reads, or that read from it, with their owners.
    fn beside(&self, block: usize, before: bool) -> Vec<(u32, u8)> {
        let mut units = Set::new();
        for link in self.touching[block].iter().map(|&at| &self.links[at]) {
            match (&link.maker, link.flow.from) {
                (Maker::Outside(_), From::Unit(unit)) if before => {
                    units.insert(unit);
                }
                (Maker::Block(at, _), _) if *at == block && !before => {
                    units.extend(link.flow.to.iter().copied());
                }
                _ => {}
            }
        }
        let inside: Set<u32> = self.chain.iter().flatten().copied().collect();
        let outside = units.into_iter().filter(|unit| !inside.contains(unit));
        outside.map(|unit| (unit, self.state.owner()[unit as usize])).collect()
    }
}

fn link<'m>(state: &State<'m>, place: &Map<u32, (usize, usize)>, flow: u32) -> Link<'m> {
    let model = state.model;
    let flow = &model.flows[flow as usize];
    let maker = match flow.from {
        From::Home => Maker::Outside(model.home),
        From::Unit(unit) => match place.get(&unit) {
            Some(&(block, slot)) => Maker::Block(block, slot),
            None => Maker::Outside(state.owner_of(unit as usize)),
        },
    };
    let mut outside = if flow.home { 1 << model.domain[model.home] } else { 0 };
    let mut readers = Vec::new();
    for &unit in &flow.to {
        match place.get(&unit) {
            Some(&reader) => readers.push(reader),
            None => outside |= 1 << model.domain[state.owner_of(unit as usize)],
        }
    }
    Link { flow, maker, outside, readers, blocks: 0 }
}

/// What launches add up to: of a block, by a second block, and by what lies before and after the chain.
struct Launches {
    /// Per pattern.
    own: Vec<i64>,
    before: Vec<i64>,
    after: Vec<i64>,
    /// Per patterns of two neighbours: usually less than nothing, since they may share a part.
    pair: Vec<Vec<i64>>,
}

impl Launches {
    fn new(view: &View<'_, '_>, patterns: &[Pattern]) -> Self {
        let own: Vec<i64> =
            patterns.iter().map(|pattern| view.launches(view.with(0, pattern))).collect();
        let pair = |a: usize, b: usize| {
            let second = view.with(1.min(view.chain.len() - 1), &patterns[b]);
            view.launches(view.with(0, &patterns[a]).chain(second)) - own[a] - own[b]
        };
        let end = |block: usize, before: bool| {
            let beside = view.beside(block, before);
            let alone = view.launches(beside.iter().copied());
            let with = |(pattern, own): (&Pattern, &i64)| {
                let both = view.with(block, pattern).chain(beside.iter().copied());
                view.launches(both) - alone - own
            };
            patterns.iter().zip(&own).map(with).collect()
        };
        let (before, after) = (end(0, true), end(view.chain.len() - 1, false));
        let row = |a| (0..patterns.len()).map(|b| pair(a, b)).collect();
        Self { pair: (0..patterns.len()).map(row).collect(), own, before, after }
    }

    fn add_to(&self, costs: &mut [Vec<i64>]) {
        let add = |costs: &mut [i64], launches: &[i64]| {
            costs.iter_mut().zip(launches).for_each(|(cost, launch)| *cost += launch);
        };
        costs.iter_mut().for_each(|block| add(block, &self.own));
        costs.first_mut().into_iter().for_each(|block| add(block, &self.before));
        costs.last_mut().into_iter().for_each(|block| add(block, &self.after));
    }
}
