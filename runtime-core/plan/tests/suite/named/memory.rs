//! Budgets, residency, shape classes.

use remuda_plan::{Answer, Code, Cost, Node, NodeId, Options, PlanError, Problem, ShapeClass};

use super::build::{CPU, GPU, code, input, node, owner, pair, plan, solve, wire};

/// Two heavy nodes, each with a megabyte of weights, and room on the GPU for `room` megabytes.
fn heavy(room: u64) -> (Problem, [NodeId; 2]) {
    let mut problem = pair();
    problem.providers[GPU.index()].budget_bytes = Some(room * 1_000_000 + 10_000);
    let nodes = ["a", "b"].map(|name| {
        let weight = problem.add_weight(format!("w_{name}"), 1_000_000);
        let cost = if name == "a" { 50_000.0 } else { 40_000.0 };
        let node = node(&mut problem, name, &[100.0, cost]);
        problem.nodes[node.index()].weights.push(weight);
        node
    });
    wire(&mut problem, nodes[0], &[nodes[1]], 100);
    (problem, nodes)
}

#[test]
fn what_does_not_fit_goes_elsewhere_and_says_so() {
    let (problem, [a, b]) = heavy(1);
    let plan = plan(&problem);
    assert_eq!((owner(&plan, a), owner(&plan, b)), (GPU, CPU));
    assert_eq!(code(&plan, b, GPU), Code::Memory);
    let text = plan.explain(b);
    assert!(text.contains("would need 2000000 of 1010000 bytes"), "{text}");
    assert_eq!(plan.providers[GPU.index()].weights_bytes, 1_000_000);
}

#[test]
fn a_weight_that_two_nodes_share_counts_once() {
    let (mut problem, [a, b]) = heavy(1);
    problem.nodes[b.index()].weights = problem.nodes[a.index()].weights.clone();
    let plan = plan(&problem);
    assert_eq!((owner(&plan, a), owner(&plan, b)), (GPU, GPU));
}

#[test]
fn workspace_and_activations_count_against_the_budget() {
    let (mut problem, [a, b]) = heavy(2);
    assert_eq!(owner(&plan(&problem), b), GPU);
    problem.providers[GPU.index()].workspace_bytes = 500_000;
    assert_eq!(owner(&plan(&problem), b), CPU);
    problem.providers[GPU.index()].workspace_bytes = 0;
    problem.tensors[0].bytes = vec![20_000];
    let plan = plan(&problem);
    assert_ne!(owner(&plan, a), owner(&plan, b), "the tensor between them no longer fits");
}

#[test]
fn a_budget_that_nothing_fits_is_an_error_with_numbers() {
    let (mut problem, _) = heavy(1);
    problem.providers[CPU.index()].budget_bytes = Some(5_000);
    let error = solve(&problem, Options::default()).unwrap_err();
    assert!(matches!(error, PlanError::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("bytes, its budget is"), "{error}");
}

#[test]
fn buffers_of_a_chain_are_used_again() {
    let mut problem = pair();
    let nodes: Vec<_> =
        (0..20).map(|at| node(&mut problem, &format!("n{at}"), &[10.0, 10_000.0])).collect();
    input(&mut problem, &nodes[..1], 6_400);
    for pair in nodes.windows(2) {
        wire(&mut problem, pair[0], &[pair[1]], 6_400);
    }
    let plan = plan(&problem);
    assert_eq!(plan.providers[GPU.index()].arena_bytes, 2 * 6_400);
}

/// A node that is faster on the GPU for many tokens and on the CPU for one.
fn two_classes(tied: bool) -> (Problem, NodeId) {
    let mut problem = pair();
    for (name, runs) in [("prefill", 1), ("decode", 50)] {
        problem.classes.push(ShapeClass { name: name.into(), runs });
    }
    let weight = problem.add_weight("w", 1_000);
    let row = |gpu: f64, cpu: f64| [gpu, cpu].map(|ns| Answer::yes(Cost::measured(ns))).to_vec();
    let id = problem.add_node(Node {
        name: "attention".into(),
        op: "Attention".into(),
        answers: vec![row(1_000.0, 900_000.0), row(400.0, 100.0)],
        weights: vec![weight],
        tied,
        ..Node::default()
    });
    (problem, id)
}

#[test]
fn shape_classes_are_placed_apart_over_one_residency_per_provider() {
    let (problem, node) = two_classes(false);
    let plan = plan(&problem);
    let owners: Vec<_> = plan.classes.iter().map(|c| c.placements[node.index()].provider).collect();
    assert_eq!(owners, [GPU, CPU]);
    assert!(plan.providers.iter().all(|provider| provider.weights_bytes == 1_000));
    assert_eq!(plan.cost_ns, (1_000 + 50) + 50 * (100 + 10));
}

#[test]
fn state_stays_with_one_provider_in_all_classes() {
    let (problem, node) = two_classes(true);
    let plan = plan(&problem);
    assert!(plan.classes.iter().all(|c| c.placements[node.index()].provider == GPU));
}
