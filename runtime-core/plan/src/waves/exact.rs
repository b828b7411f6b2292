//! The cheapest sequence of waves, by A* over the sets of clusters that are done.
//!
//! The estimate of what is left is the larger of two bounds: one launch per provider that still has
//! work, and the launches on the dearest chain that waits. Both shrink by at most one launch per
//! wave, so the first finished state is the cheapest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use remuda_base::Map;

use super::chains;
use super::clusters::Clusters;

/// States that are opened before the search gives up.
const MOST_STATES: usize = 3_000;

struct Step {
    done: u128,
    cost: i64,
    provider: u8,
    parent: usize,
}

/// The cheapest sequence, or none if the graph is too large. `known` is the cost of some sequence.
pub(crate) fn search(clusters: &Clusters, launch: &[i64], known: i64) -> Option<Vec<u8>> {
    let count = clusters.owner.len();
    if count > u128::BITS as usize {
        return None;
    }
    let search = Search::new(clusters, launch);
    let all = if count == 128 { u128::MAX } else { (1 << count) - 1 };
    let mut steps = vec![Step { done: 0, cost: 0, provider: 0, parent: 0 }];
    let mut best: Map<u128, i64> = Map::from([(0, 0)]);
    let mut open = BinaryHeap::from([(Reverse(search.least(0)), 0, Reverse(0))]);
    while let Some((_, _, Reverse(at))) = open.pop() {
        let (done, cost) = (steps[at].done, steps[at].cost);
        if done == all {
            return Some(sequence(&steps, at));
        }
        if best.get(&done).is_some_and(|&known| known < cost) {
            continue;
        }
        for (provider, &fee) in launch.iter().enumerate() {
            let next = search.wave(done, provider);
            let cost = cost + fee;
            let estimate = cost + search.least(next);
            let beaten = best.get(&next).is_some_and(|&known| known <= cost);
            if next == done || beaten || estimate > known {
                continue;
            }
            best.insert(next, cost);
            steps.push(Step { done: next, cost, provider: provider as u8, parent: at });
            open.push((Reverse(estimate), next.count_ones(), Reverse(steps.len() - 1)));
        }
        if steps.len() > MOST_STATES {
            return None;
        }
    }
    None
}

fn sequence(steps: &[Step], mut at: usize) -> Vec<u8> {
    let mut providers = Vec::new();
    while at != 0 {
        providers.push(steps[at].provider);
        at = steps[at].parent;
    }
    providers.reverse();
    providers
}

struct Search<'c> {
    clusters: &'c Clusters,
    launch: &'c [i64],
    chain: Vec<i64>,
    preds: Vec<u128>,
    of: Vec<u128>,
}

impl<'c> Search<'c> {
    fn new(clusters: &'c Clusters, launch: &'c [i64]) -> Self {
        let graph = &clusters.graph;
        let bits = |cluster: usize| {
            graph.preds.of(cluster).iter().fold(0u128, |mask, &before| mask | 1 << before)
        };
        let mut of = vec![0; launch.len()];
        for (cluster, &owner) in clusters.owner.iter().enumerate() {
            of[owner as usize] |= 1u128 << cluster;
        }
        Self {
            chain: chains(graph, &clusters.owner, launch),
            preds: (0..graph.len()).map(bits).collect(),
            of,
            clusters,
            launch,
        }
    }

    /// `done` after everything of `provider` ran to closure. Clusters are numbered in topological
    /// order, so one pass over the rest is enough.
    fn wave(&self, mut done: u128, provider: usize) -> u128 {
        let mut rest = self.of[provider] & !done;
        while rest != 0 {
            let cluster = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if self.preds[cluster] & !done == 0 {
                done |= 1 << cluster;
            }
        }
        done
    }

    /// What is left to pay after `done`, at least.
    fn least(&self, done: u128) -> i64 {
        let (mut each, mut dearest) = (0, 0);
        for (provider, &mask) in self.of.iter().enumerate() {
            if mask & !done != 0 {
                each += self.launch[provider];
            }
        }
        for cluster in 0..self.clusters.owner.len() {
            if done >> cluster & 1 == 0 {
                dearest = dearest.max(self.chain[cluster]);
            }
        }
        each.max(dearest)
    }
}
