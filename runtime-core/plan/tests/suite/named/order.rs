//! Parts, their order, and copies.

use remuda_plan::{Node, Options, Policy, Problem};

use super::build::{CPU, GPU, NEVER, input, machine, node, owner, pair, part, plan, solve, wire};
use crate::oracle::Oracle;

/// Placement notes, section 6.4: both pairs are convex, together they wait for each other.
#[test]
fn the_cross_diamond_gets_three_parts() {
    let mut problem = pair();
    let [a1, a2, b1, b2] = ["a1", "a2", "b1", "b2"].map(|n| node(&mut problem, n, &[9.0, 9.0]));
    wire(&mut problem, a1, &[a2, b2], 8);
    wire(&mut problem, b1, &[b2, a2], 8);
    let pins = vec![(a1, GPU), (a2, GPU), (b1, CPU), (b2, CPU)];
    let plan = solve(&problem, Options { pins, ..Options::default() }).unwrap();
    assert_eq!(plan.classes[0].parts.len(), 3);
    assert!(part(&plan, a1) <= part(&plan, b2) && part(&plan, b1) <= part(&plan, a2));
    assert!(part(&plan, a1) != part(&plan, a2) || part(&plan, b1) != part(&plan, b2));
}

#[test]
fn a_fragment_that_does_not_pay_for_its_launch_dissolves() {
    let mut problem = pair();
    let nodes: Vec<_> = (0..5)
        .map(|at| node(&mut problem, &format!("n{at}"), &[if at == 2 { 5.0 } else { NEVER }, 60.0]))
        .collect();
    for pair in nodes.windows(2) {
        wire(&mut problem, pair[0], &[pair[1]], 0);
    }
    let plan = plan(&problem);
    assert_eq!(plan.classes[0].parts.len(), 1);
    assert_eq!(owner(&plan, nodes[2]), CPU);
}

#[test]
fn a_tensor_is_copied_once_for_all_readers_in_one_memory() {
    let mut problem = machine(&[("npu", 10.0, 1), ("gpu", 10.0, 1), ("cpu", 10.0, 0)]);
    let first = node(&mut problem, "first", &[NEVER, NEVER, 10.0]);
    let on_npu = node(&mut problem, "on_npu", &[10.0, NEVER, 90_000.0]);
    let on_gpu = node(&mut problem, "on_gpu", &[NEVER, 10.0, 90_000.0]);
    wire(&mut problem, first, &[on_npu, on_gpu], 1_000);
    let plan = plan(&problem);
    let copies = &plan.classes[0].transfers;
    assert_eq!(copies.len(), 1, "one memory, one copy");
    assert_eq!((copies[0].bytes, copies[0].cost_ns), (1_000, 1_100));
    assert_eq!(plan.classes[0].cost.transfer_ns, 1_100);
}

#[test]
fn shared_memory_needs_no_copies() {
    let mut problem = machine(&[("gpu", 10.0, 0), ("cpu", 10.0, 0)]);
    let a = node(&mut problem, "a", &[10.0, 9_000.0]);
    let b = node(&mut problem, "b", &[NEVER, 10.0]);
    wire(&mut problem, a, &[b], 1 << 30);
    let plan = plan(&problem);
    assert_eq!((owner(&plan, a), owner(&plan, b)), (GPU, CPU));
    assert!(plan.classes[0].transfers.is_empty());
}

#[test]
fn copies_are_issued_one_part_ahead() {
    let mut problem = pair();
    let early = node(&mut problem, "early", &[NEVER, 10.0]);
    let start = node(&mut problem, "start", &[10.0, 90_000.0]);
    let middle = node(&mut problem, "middle", &[NEVER, 10.0]);
    let last = node(&mut problem, "last", &[10.0, 90_000.0]);
    input(&mut problem, &[start], 8);
    wire(&mut problem, start, &[middle], 8);
    wire(&mut problem, middle, &[last], 8);
    let ahead = wire(&mut problem, early, &[last, middle], 8);
    let plan = plan(&problem);
    let copy = plan.classes[0].transfers.iter().find(|copy| copy.tensor == ahead).unwrap();
    assert_eq!(copy.needed, Some(part(&plan, last)));
    assert_eq!(copy.issue, Some(part(&plan, last) - 1));
}

#[test]
fn a_constant_runs_where_it_is_read_not_where_it_is_ready() {
    let mut problem = pair();
    let constant = node(&mut problem, "constant", &[NEVER, 1.0]);
    let first = node(&mut problem, "first", &[NEVER, 10.0]);
    let heavy = node(&mut problem, "heavy", &[10.0, 90_000.0]);
    let last = node(&mut problem, "last", &[NEVER, 10.0]);
    wire(&mut problem, first, &[heavy], 8);
    wire(&mut problem, heavy, &[last], 8);
    wire(&mut problem, constant, &[last], 1 << 20);
    let plan = plan(&problem);
    assert_eq!(part(&plan, constant), part(&plan, last));
    assert_ne!(part(&plan, constant), part(&plan, first));
}

#[test]
fn a_cheap_node_runs_again_instead_of_being_copied() {
    let mut problem = pair();
    let mask = node(&mut problem, "mask", &[5.0, 5.0]);
    let here = node(&mut problem, "here", &[NEVER, 10.0]);
    let there = node(&mut problem, "there", &[10.0, 90_000.0]);
    wire(&mut problem, mask, &[here, there], 4_000);
    let copied = plan(&problem);
    assert_eq!(copied.classes[0].transfers.len(), 1);
    problem.nodes[mask.index()].repeatable = true;
    let again = plan(&problem);
    let class = &again.classes[0];
    assert!(class.transfers.is_empty());
    assert_eq!(class.parts.iter().map(|part| part.repeats.len()).sum::<usize>(), 1);
    assert_eq!(copied.cost_ns - again.cost_ns, 4_100 - 5);
}

#[test]
fn streams_get_independent_pieces_under_one_launch() {
    let mut problem = pair();
    problem.providers[GPU.index()].streams = true;
    let left = node(&mut problem, "left", &[100.0, 90_000.0]);
    let right = node(&mut problem, "right", &[100.0, 90_000.0]);
    let small = node(&mut problem, "small", &[1.0, 90_000.0]);
    let plan = plan(&problem);
    let parts = &plan.classes[0].parts;
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.wave == parts[0].wave));
    assert_eq!(plan.classes[0].cost.launch_ns, 50);
    assert_ne!(part(&plan, left), part(&plan, right));
    assert_ne!(part(&plan, small), part(&plan, left));
}

#[test]
fn the_part_with_the_most_work_behind_it_goes_first() {
    let mut problem = pair();
    let light = node(&mut problem, "light", &[10.0, 90_000.0]);
    let heavy = node(&mut problem, "heavy", &[NEVER, 9_000.0]);
    let plan = plan(&problem);
    assert_eq!((part(&plan, heavy), part(&plan, light)), (0, 1));
}

#[test]
fn the_priority_policy_takes_the_first_provider_that_can() {
    let mut problem = pair();
    let slow = node(&mut problem, "slow", &[9_000.0, 1.0]);
    let only = node(&mut problem, "only", &[NEVER, 1.0]);
    wire(&mut problem, slow, &[only], 8);
    assert_eq!(owner(&plan(&problem), slow), CPU);
    let options = Options { policy: Policy::Priority, ..Options::default() };
    let plan = solve(&problem, options).unwrap();
    assert_eq!((owner(&plan, slow), owner(&plan, only)), (GPU, CPU));
}

/// Without launches and budgets a minimum cut is the answer, however large the graph.
#[test]
fn two_providers_without_launches_are_solved_by_the_cut_alone() {
    for seed in 0..300 {
        let mut recipe = crate::generate::Recipe::any(seed, 8, 4);
        (recipe.providers, recipe.budgets) = (2, false);
        let (mut problem, mut options) = crate::generate::problem(&recipe);
        for provider in &mut problem.providers {
            provider.launch = remuda_plan::Cost::measured(0.0);
        }
        (options.exhaustive_limit, options.moves_per_node) = (0, 0);
        let best = Oracle::new(&problem, &options).solve().unwrap();
        assert_eq!(solve(&problem, options).unwrap().cost_ns as i64, best, "seed {seed}");
    }
}

/// Equal layers in a row, with room for some of them only.
fn layers(count: usize, costs: &[f64], room: &[u64]) -> Problem {
    let mut problem = machine(&[("npu", 70.0, 2), ("gpu", 50.0, 1), ("cpu", 10.0, 0)]);
    for (provider, &room) in problem.providers.iter_mut().zip(room) {
        provider.budget_bytes = Some(room * 1_000_000 + 100_000);
    }
    let mut before = None;
    for at in 0..count {
        let weight = problem.add_weight(format!("w{at}"), 1_000_000);
        let layer = node(&mut problem, &format!("layer{at}"), costs);
        let entry: &mut Node = &mut problem.nodes[layer.index()];
        (entry.block, entry.weights) = (Some(at as u32), vec![weight]);
        match before {
            None => input(&mut problem, &[layer], 200),
            Some(before) => wire(&mut problem, before, &[layer], 200),
        };
        before = Some(layer);
    }
    problem.tensors.last_mut().unwrap().output = true;
    problem
}

/// The table over a chain counts blocks, so that budgets hold exactly.
#[test]
fn chains_of_equal_layers_are_solved_by_the_table_alone() {
    let costs = [[300.0, 400.0, 2_000.0], [700.0, 100.0, 900.0], [200.0, 210.0, 260.0]];
    for costs in &costs {
        for room in [[0, 3], [2, 2], [3, 1], [1, 4], [7, 7]] {
            for count in [5, 7] {
                let problem = layers(count, costs, &room);
                let mut options = Options::default();
                (options.exhaustive_limit, options.moves_per_node) = (0, 0);
                let best = Oracle::new(&problem, &options).solve().unwrap();
                let plan = solve(&problem, options).unwrap();
                assert_eq!(plan.cost_ns as i64, best, "{costs:?} {room:?} {count}");
            }
        }
    }
}
