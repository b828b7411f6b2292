//! Refusals after a plan, stored plans, and what changed between two.

use remuda_plan::{
    Code, Cost, Diff, NodeId, Options, Plan, PlanError, Planner, Problem, ReadError,
};

use super::build::{CPU, GPU, NEVER, code, node, owner, pair, plan, wire};

/// A row of nodes that the GPU runs far better.
fn row(count: usize) -> (Problem, Vec<NodeId>) {
    let mut problem = pair();
    let nodes: Vec<_> =
        (0..count).map(|at| node(&mut problem, &format!("n{at}"), &[10.0, 9_000.0])).collect();
    for pair in nodes.windows(2) {
        wire(&mut problem, pair[0], &[pair[1]], 8);
    }
    (problem, nodes)
}

#[test]
fn a_failed_compile_takes_the_named_nodes_away_with_its_reason() {
    let (problem, nodes) = row(6);
    let mut planner = Planner::new(problem, Options::default()).unwrap();
    assert_eq!(owner(&planner.plan(None).unwrap(), nodes[3]), GPU);
    planner.refuse(&nodes[3..4], GPU, Code::CompileFailed, "tile too large").unwrap();
    let plan = planner.plan(None).unwrap();
    assert_eq!((owner(&plan, nodes[3]), owner(&plan, nodes[2])), (CPU, GPU));
    assert_eq!(code(&plan, nodes[3], GPU), Code::CompileFailed);
    assert!(plan.explain(nodes[3]).contains("tile too large"));
}

#[test]
fn a_provider_that_refuses_again_and_again_is_set_aside() {
    let (problem, nodes) = row(9);
    let mut planner = Planner::new(problem, Options::default()).unwrap();
    for &node in &nodes[..4] {
        planner.refuse(&[node], GPU, Code::RegionRefused, "no").unwrap();
    }
    let plan = planner.plan(None).unwrap();
    assert!(nodes.iter().all(|&node| owner(&plan, node) == CPU));
    assert_eq!(code(&plan, nodes[0], GPU), Code::RegionRefused);
    assert_eq!(code(&plan, nodes[8], GPU), Code::Quarantined);
}

#[test]
fn a_refusal_by_the_last_provider_is_an_error_and_changes_nothing() {
    let mut problem = pair();
    let a = node(&mut problem, "a", &[NEVER, 10.0]);
    let mut planner = Planner::new(problem, Options::default()).unwrap();
    let before = planner.question();
    let error = planner.refuse(&[a], CPU, Code::CompileFailed, "broken").unwrap_err();
    assert!(matches!(error, PlanError::NoProvider { .. }), "{error}");
    assert_eq!(planner.question(), before);
    let error = planner.refuse(&[a], GPU, Code::CompileFailed, "").unwrap_err();
    assert_eq!(error, PlanError::NothingRefused { provider: "gpu".into() });
}

#[test]
fn there_is_a_plan_for_the_loss_of_each_provider() {
    let (problem, nodes) = row(4);
    let planner = Planner::new(problem, Options::default()).unwrap();
    let alone = planner.plan_among(&[CPU], "the device was lost").unwrap();
    assert!(nodes.iter().all(|&node| owner(&alone, node) == CPU));
    assert_eq!(code(&alone, nodes[0], GPU), Code::Unavailable);
    assert!(alone.explain(nodes[0]).contains("the device was lost"));
    let both = planner.plan_among(&[GPU, CPU], "").unwrap();
    assert_eq!(both, planner.plan(None).unwrap());
    assert_ne!(alone.problem, both.problem);
    let error = planner.plan_among(&[], "none wanted").unwrap_err();
    assert!(matches!(error, PlanError::NoProvider { .. }), "{error}");
}

#[test]
fn a_stored_plan_comes_back_and_an_edited_one_does_not() {
    let (problem, nodes) = row(4);
    let planner = Planner::new(problem, Options::default()).unwrap();
    let plan = planner.plan(None).unwrap();
    let text = plan.to_json();
    let stored = Plan::from_json(&text).unwrap();
    assert_eq!(planner.plan(Some(&stored)).unwrap(), plan);
    let edited = text.replacen("\"runs\":1", "\"runs\":2", 1);
    assert!(matches!(Plan::from_json(&edited), Err(ReadError::Changed { .. })));
    // A plan that lies about a node is not trusted, even with a matching id.
    let mut forged = plan;
    forged.classes[0].placements[nodes[0].index()].provider = CPU;
    forged.id = forged.content_id();
    assert_eq!(planner.plan(Some(&forged)).unwrap().to_json(), text);
}

#[test]
fn a_clearly_better_plan_replaces_the_cached_one() {
    let (mut problem, nodes) = row(4);
    for answer in problem.nodes.iter_mut().flat_map(|node| &mut node.answers).flatten() {
        *answer = remuda_plan::Answer::yes(Cost::measured(1_000.0));
    }
    let old = plan(&problem);
    assert_eq!(owner(&old, nodes[0]), CPU);
    let faster = |problem: &mut Problem, ns: f64| {
        for node in &mut problem.nodes {
            node.answers[0][GPU.index()] = remuda_plan::Answer::yes(Cost::measured(ns));
        }
        Planner::new(problem.clone(), Options::default()).unwrap().plan(Some(&old)).unwrap()
    };
    let hardly = faster(&mut problem, 980.0);
    assert_eq!(owner(&hardly, nodes[0]), CPU);
    assert!(hardly.explain(nodes[0]).contains("runs on `cpu`"));
    assert_eq!(owner(&faster(&mut problem, 900.0), nodes[0]), GPU);
}

#[test]
fn a_diff_says_what_moved_and_why() {
    let (mut problem, nodes) = row(3);
    let old = plan(&problem);
    assert!(Diff::between(&old, &old).is_empty());
    problem.nodes[nodes[1].index()].answers[0][GPU.index()] =
        remuda_plan::Answer::no(Code::Dtype, "float8 is not supported");
    node(&mut problem, "extra", &[NEVER, 5.0]);
    let new = plan(&problem);
    let diff = Diff::between(&old, &new);
    assert_eq!(diff.moved.len(), 1);
    assert_eq!(diff.moved[0].why.as_ref().unwrap().0, Code::Dtype);
    let text = diff.text();
    assert!(text.contains("plan: 80 ns -> "), "{text}");
    let line = "node `n1`: `gpu` (10 ns) -> `cpu` (9.00 us); `gpu`: dtype; float8 is not supported";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("node `extra` is new"), "{text}");
}
