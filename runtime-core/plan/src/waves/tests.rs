//! Waves against every acyclic partition there is, and the beam against the exact search.

use super::{Effort, beam, cheapest, clusters, exact, replay};
use crate::graph::Graph;

/// Numbers that are the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

fn random(seed: u64, count: u32, owners: u8) -> (Graph, Vec<u8>, Vec<i64>) {
    let mut dice = Dice(seed);
    let mut edges = Vec::new();
    for to in 1..count {
        for _ in 0..=dice.below(2) {
            edges.push((dice.below(to), to));
        }
    }
    let graph = Graph::new(count as usize, edges).unwrap();
    let owner = (0..count).map(|_| dice.below(u32::from(owners)) as u8).collect();
    let launch = (0..owners).map(|_| i64::from(1 + dice.below(20))).collect();
    (graph, owner, launch)
}

/// The least launch cost over all partitions into parts of one owner whose quotient has no cycle.
struct Partitions<'g> {
    graph: &'g Graph,
    owner: &'g [u8],
    launch: &'g [i64],
    best: i64,
}

impl Partitions<'_> {
    /// Puts `vertex` and all later ones into the parts so far or new ones.
    fn extend(&mut self, vertex: usize, part_of: &mut Vec<usize>, parts: &mut Vec<u8>) {
        let cost: i64 = parts.iter().map(|&owner| self.launch[owner as usize]).sum();
        if cost >= self.best {
            return;
        }
        if vertex == self.graph.len() {
            if self.acyclic(part_of, parts.len()) {
                self.best = cost;
            }
            return;
        }
        for part in 0..=parts.len() {
            if part == parts.len() {
                parts.push(self.owner[vertex]);
            } else if parts[part] != self.owner[vertex] {
                continue;
            }
            part_of.push(part);
            self.extend(vertex + 1, part_of, parts);
            part_of.pop();
            if part + 1 == parts.len() && !part_of.contains(&part) {
                parts.pop();
            }
        }
    }

    fn acyclic(&self, part_of: &[usize], parts: usize) -> bool {
        let edges = (0..self.graph.len()).flat_map(|from| {
            let to = self.graph.succs.of(from).iter();
            to.map(move |&to| (part_of[from] as u32, part_of[to as usize] as u32))
        });
        Graph::new(parts, edges.filter(|(from, to)| from != to).collect()).is_ok()
    }
}

#[test]
fn no_acyclic_partition_is_cheaper_than_the_cheapest_waves() {
    for seed in 0..1_500 {
        let (graph, owner, launch) = random(seed, 5 + seed as u32 % 3, 2 + (seed % 3) as u8);
        let waves = cheapest(&graph, &owner, &launch, Effort::Thorough);
        let mut all = Partitions { graph: &graph, owner: &owner, launch: &launch, best: i64::MAX };
        all.extend(0, &mut Vec::new(), &mut Vec::new());
        assert_eq!(waves.launch, all.best, "seed {seed}");
    }
}

#[test]
fn waves_are_in_order_and_of_one_owner() {
    for seed in 0..300 {
        let (graph, owner, launch) = random(seed, 60, 4);
        for effort in [Effort::Quick, Effort::Thorough] {
            let waves = cheapest(&graph, &owner, &launch, effort);
            let fees = waves.sequence.iter().map(|&owner| launch[owner as usize]);
            assert_eq!(waves.launch, fees.sum::<i64>());
            for (vertex, &mine) in owner.iter().enumerate() {
                let wave = waves.wave_of[vertex];
                assert_eq!(waves.sequence[wave as usize], mine);
                for &next in graph.succs.of(vertex) {
                    assert!(wave <= waves.wave_of[next as usize]);
                }
            }
        }
    }
}

#[test]
fn the_beam_is_close_to_exact() {
    let (mut found, mut least) = (0, 0);
    for seed in 0..200 {
        let (graph, owner, launch) = random(seed, 24, 4);
        let clusters = clusters::contract(&graph, &owner);
        let Some(best) = exact::search(&clusters, &launch, i64::MAX) else { continue };
        let best = replay(&graph, &owner, &launch, &best).launch;
        let beam = replay(&graph, &owner, &launch, &beam::search(&clusters, &launch)).launch;
        assert!(beam >= best, "seed {seed}");
        (found, least) = (found + beam, least + best);
    }
    assert!(found * 100 <= least * 101, "the beam pays {found}, {least} is enough");
}

/// Two nodes on each of two providers, each pair crossed by the other: the parts {0, 1} and {2, 3}
/// are convex one by one, and together they wait for each other.
#[test]
fn the_cross_diamond_takes_three_parts() {
    let graph = Graph::new(4, vec![(0, 1), (2, 3), (0, 3), (2, 1)]).unwrap();
    let waves = cheapest(&graph, &[0, 0, 1, 1], &[10, 10], Effort::Thorough);
    assert_eq!(waves.sequence.len(), 3);
}

#[test]
fn the_cheaper_launch_is_the_one_repeated() {
    let graph = Graph::new(4, vec![(0, 1), (2, 3), (0, 3), (2, 1)]).unwrap();
    let waves = cheapest(&graph, &[0, 0, 1, 1], &[10, 3], Effort::Thorough);
    assert_eq!((waves.launch, waves.sequence), (16, vec![1, 0, 1]));
}
