//! Dependencies among numbered vertices: adjacency, a topological order, strong components.
//!
//! Everything is iterative: a graph comes from a model file and may be a chain of any length.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Lists of small lists in one allocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Groups `pairs` of (list, item) into `count` lists, sorted and without repeats.
    pub(crate) fn from_pairs(count: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; count + 1];
        for &(list, _) in &pairs {
            starts[list as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        Self { starts, items: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    /// One list.
    pub(crate) fn of(&self, at: usize) -> &[u32] {
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// How many items all lists hold together.
    pub(crate) fn total(&self) -> usize {
        self.items.len()
    }
}

/// A directed acyclic graph.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) preds: Lists,
    pub(crate) succs: Lists,
    /// Every vertex after what it depends on; among the ready ones the smallest comes first.
    pub(crate) topo: Vec<u32>,
}

impl Graph {
    /// The graph of these edges (from, to); on a cycle, one vertex of it.
    pub(crate) fn new(count: usize, edges: Vec<(u32, u32)>) -> Result<Self, u32> {
        let preds = Lists::from_pairs(count, edges.iter().map(|&(from, to)| (to, from)).collect());
        let succs = Lists::from_pairs(count, edges);
        let topo = topological(count, &preds, &succs)?;
        Ok(Self { preds, succs, topo })
    }

    /// The graph of these vertices alone, numbered in the order of their keys.
    pub(crate) fn restricted<T>(&self, kept: &remuda_base::Map<u32, T>) -> Self {
        let place: remuda_base::Map<u32, u32> = kept.keys().copied().zip(0..).collect();
        let edges = place.iter().flat_map(|(&from, &at)| {
            let place = &place;
            let next = self.succs.of(from as usize).iter();
            next.filter_map(move |to| place.get(to).map(|&to| (at, to)))
        });
        // A part of an acyclic graph is acyclic.
        Self::new(place.len(), edges.collect()).unwrap_or_else(|_| self.clone())
    }

    /// How many vertices there are.
    pub(crate) fn len(&self) -> usize {
        self.topo.len()
    }

    /// What one pass over the graph visits.
    pub(crate) fn size(&self) -> u64 {
        (self.topo.len() + self.succs.total()) as u64
    }
}

fn topological(count: usize, preds: &Lists, succs: &Lists) -> Result<Vec<u32>, u32> {
    let mut missing: Vec<usize> = (0..count).map(|v| preds.of(v).len()).collect();
    let mut ready: BinaryHeap<Reverse<u32>> =
        (0..count).filter(|&v| missing[v] == 0).map(|v| Reverse(v as u32)).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(vertex)) = ready.pop() {
        order.push(vertex);
        for &next in succs.of(vertex as usize) {
            missing[next as usize] -= 1;
            if missing[next as usize] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    match missing.iter().position(|&m| m > 0) {
        None => Ok(order),
        Some(stuck) => Err(stuck as u32),
    }
}

/// For each vertex the number of its strong component, numbered by smallest member.
pub(crate) fn strong_components(count: usize, edges: &[(u32, u32)]) -> Vec<u32> {
    let succs = Lists::from_pairs(count, edges.to_vec());
    let preds = Lists::from_pairs(count, edges.iter().map(|&(from, to)| (to, from)).collect());
    let mut seen = vec![false; count];
    let mut finished = Vec::with_capacity(count);
    for root in 0..count {
        visit(&succs, root, &mut seen, |vertex| finished.push(vertex));
    }
    let mut component = vec![u32::MAX; count];
    let mut seen = vec![false; count];
    for &root in finished.iter().rev() {
        let mut members = Vec::new();
        visit(&preds, root as usize, &mut seen, |vertex| members.push(vertex));
        let first = members.iter().copied().min().unwrap_or(root);
        for member in members {
            component[member as usize] = first;
        }
    }
    renumber(&component)
}

/// Depth-first from `root`; `leave` sees each new vertex after all that it leads to.
fn visit(succs: &Lists, root: usize, seen: &mut [bool], mut leave: impl FnMut(u32)) {
    if std::mem::replace(&mut seen[root], true) {
        return;
    }
    let mut path = vec![(root as u32, 0)];
    while let Some((vertex, next)) = path.last_mut() {
        match succs.of(*vertex as usize).get(*next) {
            Some(&child) => {
                *next += 1;
                if !std::mem::replace(&mut seen[child as usize], true) {
                    path.push((child, 0));
                }
            }
            None => {
                leave(*vertex);
                path.pop();
            }
        }
    }
}

/// Labels as consecutive numbers in order of first appearance.
pub(crate) fn renumber(labels: &[u32]) -> Vec<u32> {
    let mut fresh = remuda_base::Map::new();
    labels
        .iter()
        .map(|label| {
            let next = fresh.len() as u32;
            *fresh.entry(*label).or_insert(next)
        })
        .collect()
}

/// Sets of numbers that can be joined.
#[derive(Debug)]
pub(crate) struct Joined {
    parent: Vec<u32>,
}

impl Joined {
    pub(crate) fn new(count: usize) -> Self {
        Self { parent: (0..count as u32).collect() }
    }

    /// The smallest member of `at`'s set.
    pub(crate) fn find(&mut self, at: u32) -> u32 {
        let mut root = at;
        while self.parent[root as usize] != root {
            root = self.parent[root as usize];
        }
        let mut walk = at;
        while self.parent[walk as usize] != root {
            walk = std::mem::replace(&mut self.parent[walk as usize], root);
        }
        root
    }

    pub(crate) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::{Graph, strong_components};

    #[test]
    fn a_cycle_is_found() {
        assert!(Graph::new(3, vec![(0, 1), (1, 2), (2, 1)]).is_err());
        let graph = Graph::new(3, vec![(2, 0), (0, 1), (2, 1)]).unwrap();
        assert_eq!(graph.topo, [2, 0, 1]);
    }

    #[test]
    fn components_are_whole_cycles() {
        let edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3)];
        assert_eq!(strong_components(6, &edges), [0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<_> = (0..200_000).map(|v| (v, v + 1)).collect();
        assert_eq!(strong_components(200_001, &edges).len(), 200_001);
        assert!(Graph::new(200_001, edges).is_ok());
    }
}
