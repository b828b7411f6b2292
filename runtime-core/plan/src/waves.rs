//! From an assignment to parts: which nodes run together, in which order, with the fewest launches.
//!
//! A *wave* takes the set of nodes that are done, picks a provider, and runs everything of that
//! provider that is ready, and what becomes ready by that, to closure. Each wave is a part, and the
//! order of waves is an order of the parts in which nothing waits for a later one: no cycle among
//! parts can arise, even where parts that are convex on their own would block each other.
//!
//! Nothing is lost by it. Take any acyclic cut of the graph into parts of one provider each, in
//! some order of execution: waves along the same sequence of providers have, after each step, done
//! at least as much, because closure only grows with what is done. So the cheapest cut is the
//! cheapest sequence of providers. With two providers the sequence must alternate, and both starts
//! are tried: exact in one pass each. With more, small graphs are searched exactly
//! ([`exact`]) and large ones with a beam ([`beam`]), after contraction ([`clusters`]).

mod beam;
mod clusters;
mod exact;

use crate::graph::Graph;

/// A partition into parts, in order of execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waves {
    /// The provider of each wave.
    pub(crate) sequence: Vec<u8>,
    /// The wave of each vertex.
    pub(crate) wave_of: Vec<u32>,
    /// What the launches cost together.
    pub(crate) launch: i64,
}

/// How hard to look for the cheapest sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// One pass; exact for up to two owners.
    Quick,
    /// Exact for small graphs, a beam for large ones.
    Thorough,
}

/// The waves of the assignment `owner` with the least launch cost that `effort` finds.
pub(crate) fn cheapest(graph: &Graph, owner: &[u8], launch: &[i64], effort: Effort) -> Waves {
    let owners = used(owner, launch.len());
    match owners[..] {
        [] => Waves { sequence: Vec::new(), wave_of: Vec::new(), launch: 0 },
        [only] => Waves {
            sequence: vec![only],
            wave_of: vec![0; graph.len()],
            launch: launch[only as usize],
        },
        [a, b] => alternate(graph, owner, launch, a, b),
        _ => several(graph, owner, launch, effort),
    }
}

/// Copied counters above which a graph is too fragmented for the beam: about a tenth of a second.
const MOST_BEAM_WORK: u64 = 100_000_000;

fn several(graph: &Graph, owner: &[u8], launch: &[i64], effort: Effort) -> Waves {
    let first = critical(graph, owner, launch);
    if effort == Effort::Quick {
        return first;
    }
    let clusters = clusters::contract(graph, owner);
    let sequence = exact::search(&clusters, launch, first.launch);
    let sequence = match sequence {
        Some(sequence) => sequence,
        None if beam::work(&clusters, &first) > MOST_BEAM_WORK => return first,
        None => beam::search(&clusters, launch),
    };
    let found = replay(graph, owner, launch, &sequence);
    if found.launch < first.launch { found } else { first }
}

fn used(owner: &[u8], providers: usize) -> Vec<u8> {
    let mut seen = vec![false; providers];
    for &provider in owner {
        seen[provider as usize] = true;
    }
    (0..providers as u8).filter(|&provider| seen[provider as usize]).collect()
}

fn alternate(graph: &Graph, owner: &[u8], launch: &[i64], a: u8, b: u8) -> Waves {
    let turn = |first: u8, second: u8| {
        let mut wave = 0u32;
        run(graph, owner, launch, move |_: &Front| {
            wave += 1;
            if wave % 2 == 1 { first } else { second }
        })
    };
    let (one, two) = (turn(a, b), turn(b, a));
    if two.launch < one.launch { two } else { one }
}

/// Waves that at each step run the provider on which the longest chain of launches still waits.
fn critical(graph: &Graph, owner: &[u8], launch: &[i64]) -> Waves {
    let chain = chains(graph, owner, launch);
    run(graph, owner, launch, |front: &Front| {
        let longest = |provider: u8| {
            let ready = &front.ready[provider as usize];
            let chain = ready.iter().map(|&vertex| chain[vertex as usize]).max();
            (chain, ready.len(), std::cmp::Reverse(provider))
        };
        (0..launch.len() as u8).max_by_key(|&provider| longest(provider)).unwrap_or(0)
    })
}

/// Per vertex, the launches on the dearest path that starts there, its own included.
fn chains(graph: &Graph, owner: &[u8], launch: &[i64]) -> Vec<i64> {
    let mut chain = vec![0; graph.len()];
    for &vertex in graph.topo.iter().rev() {
        let mine = owner[vertex as usize];
        let own = launch[mine as usize];
        let longest = graph.succs.of(vertex as usize).iter().map(|&next| {
            let shared = owner[next as usize] == mine;
            chain[next as usize] + if shared { 0 } else { own }
        });
        chain[vertex as usize] = longest.max().unwrap_or(own).max(own);
    }
    chain
}

/// What is ready at some point of an execution.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    /// Per vertex, how many vertices it still waits for.
    missing: Vec<u32>,
    /// Per provider.
    pub(crate) ready: Vec<Vec<u32>>,
    pub(crate) left: usize,
}

impl Front {
    pub(crate) fn new(graph: &Graph, owner: &[u8], providers: usize) -> Self {
        let missing: Vec<u32> =
            (0..graph.len()).map(|vertex| graph.preds.of(vertex).len() as u32).collect();
        let mut ready = vec![Vec::new(); providers];
        for &vertex in &graph.topo {
            if missing[vertex as usize] == 0 {
                ready[owner[vertex as usize] as usize].push(vertex);
            }
        }
        Self { missing, ready, left: graph.len() }
    }

    /// Runs everything of `provider` to closure.
    pub(crate) fn wave(
        &mut self,
        graph: &Graph,
        owner: &[u8],
        provider: u8,
        mut done: impl FnMut(u32),
    ) {
        while let Some(vertex) = self.ready[provider as usize].pop() {
            done(vertex);
            self.left -= 1;
            for &next in graph.succs.of(vertex as usize) {
                self.missing[next as usize] -= 1;
                if self.missing[next as usize] == 0 {
                    self.ready[owner[next as usize] as usize].push(next);
                }
            }
        }
    }
}

/// Runs waves as `choose` says; a choice with nothing ready costs nothing and makes no wave.
fn run(graph: &Graph, owner: &[u8], launch: &[i64], mut choose: impl FnMut(&Front) -> u8) -> Waves {
    let mut front = Front::new(graph, owner, launch.len());
    let mut waves = Waves { sequence: Vec::new(), wave_of: vec![0; graph.len()], launch: 0 };
    while front.left > 0 {
        let provider = choose(&front);
        if front.ready[provider as usize].is_empty() {
            continue;
        }
        let wave = waves.sequence.len() as u32;
        waves.sequence.push(provider);
        waves.launch += launch[provider as usize];
        let wave_of = &mut waves.wave_of;
        front.wave(graph, owner, provider, |vertex| wave_of[vertex as usize] = wave);
    }
    waves
}

fn replay(graph: &Graph, owner: &[u8], launch: &[i64], sequence: &[u8]) -> Waves {
    let mut steps = sequence.iter();
    let mut rest = 0;
    run(graph, owner, launch, |_: &Front| {
        steps.next().copied().unwrap_or_else(|| {
            // A sequence from a search covers everything; going round the providers would too.
            rest = (rest + 1) % launch.len() as u8;
            rest
        })
    })
}

#[cfg(test)]
mod tests;
