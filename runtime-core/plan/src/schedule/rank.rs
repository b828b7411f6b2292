//! Orders parts so that those with the most work behind them go first.
//!
//! The rank of a part is its own cost and the dearest chain of parts and copies after it. Among the
//! parts that are ready the one with the highest rank is next, which keeps the longest chain moving
//! where providers work at the same time. Parts of one wave stay in its order of dependencies.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use remuda_base::Map;

use super::{Schedule, Site};
use crate::graph::Graph;

/// The schedule with its parts by rank.
pub(super) fn order(site: Site<'_, '_>, schedule: &Schedule) -> Schedule {
    let model = site.state.model;
    let count = schedule.parts.len();
    let copies = copies(site, schedule);
    let Ok(parts) = Graph::new(count, copies.keys().copied().collect()) else {
        return schedule.clone();
    };
    let mut rank = vec![0i64; count];
    for vertex in 0..model.graph.len() {
        let unit = model.unit_of[site.class][vertex] as usize;
        rank[schedule.part_of[vertex] as usize] +=
            model.units[unit].cost[site.state.owner_of(unit)];
    }
    for &part in parts.topo.iter().rev() {
        let after = parts.succs.of(part as usize).iter();
        let behind = after.map(|&next| rank[next as usize] + copies[&(part, next)]).max();
        let launch = model.launch[site.class][schedule.parts[part as usize].provider as usize];
        rank[part as usize] += launch + behind.unwrap_or(0);
    }
    schedule.reordered(&by_rank(&parts, &rank))
}

/// Between each two dependent parts, what the copies between them cost.
fn copies(site: Site<'_, '_>, schedule: &Schedule) -> Map<(u32, u32), i64> {
    let model = site.state.model;
    let mut copies = Map::new();
    for (tensor, at) in model.tensors.iter().zip(0..) {
        let Some(producer) = tensor.producer else { continue };
        let part = |node: u32| schedule.part_of[model.vertex_of[node as usize] as usize];
        let from = part(producer);
        let maker = schedule.parts[from as usize].provider as usize;
        let bytes: u64 = model.prices.bytes[site.class][at];
        let mut readers: Vec<u32> = tensor.consumers.iter().map(|&node| part(node)).collect();
        readers.sort_unstable();
        readers.dedup();
        for to in readers.into_iter().filter(|&to| to != from) {
            let provider = schedule.parts[to as usize].provider as usize;
            let price = model.cheapest_copy(bytes, maker, model.domain[provider]);
            *copies.entry((from, to)).or_insert(0) += i64::try_from(price.ns).unwrap_or(0);
        }
    }
    copies
}

fn by_rank(parts: &Graph, rank: &[i64]) -> Vec<u32> {
    let mut missing: Vec<usize> = (0..rank.len()).map(|part| parts.preds.of(part).len()).collect();
    let entry = |part: u32| (rank[part as usize], Reverse(part));
    let free = (0..rank.len() as u32).filter(|&part| missing[part as usize] == 0);
    let mut ready: BinaryHeap<(i64, Reverse<u32>)> = free.map(entry).collect();
    let mut order = Vec::with_capacity(rank.len());
    while let Some((_, Reverse(part))) = ready.pop() {
        order.push(part);
        for &next in parts.succs.of(part as usize) {
            missing[next as usize] -= 1;
            if missing[next as usize] == 0 {
                ready.push(entry(next));
            }
        }
    }
    order
}
