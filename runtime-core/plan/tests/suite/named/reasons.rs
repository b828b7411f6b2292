//! What the plan says about its choices, and about numbers it did not believe.

use remuda_plan::{Answer, Code, Cost, Doubt, Options, PlanError, Source};

use super::build::{CPU, GPU, NEVER, code, input, node, owner, pair, part, plan, solve, wire};

#[test]
fn a_provider_that_takes_nothing_is_not_silent_about_it() {
    let mut problem = pair();
    let nodes: Vec<_> =
        (0..4).map(|at| node(&mut problem, &format!("n{at}"), &[NEVER, 10.0])).collect();
    let plan = plan(&problem);
    for node in nodes {
        assert_eq!(code(&plan, node, GPU), Code::OpUnsupported);
        assert!(plan.explain(node).contains("no kernel for `n"));
    }
}

#[test]
fn a_copy_that_costs_more_than_it_saves_is_named() {
    let mut problem = pair();
    let a = node(&mut problem, "a", &[10.0, 500.0]);
    input(&mut problem, &[a], 10_000);
    let plan = plan(&problem);
    assert_eq!((owner(&plan, a), code(&plan, a, GPU)), (CPU, Code::Cost));
    let reason = &plan.classes[0].placements[0].reasons[0];
    let delta = reason.delta.unwrap();
    assert_eq!((delta.compute_ns, delta.transfer_ns), (-490, 10_100));
    assert_eq!(reason.there_ns, Some(10));
}

#[test]
fn a_split_that_costs_more_launches_than_it_saves_is_named() {
    let mut problem = pair();
    let nodes: Vec<_> = (0..3)
        .map(|at| {
            node(&mut problem, &format!("n{at}"), &[if at == 1 { 10.0 } else { NEVER }, 50.0])
        })
        .collect();
    problem.providers[GPU.index()].memory = 0;
    for pair in nodes.windows(2) {
        wire(&mut problem, pair[0], &[pair[1]], 8);
    }
    let plan = plan(&problem);
    assert_eq!(code(&plan, nodes[1], GPU), Code::CycleSplit);
    let delta = plan.classes[0].placements[1].reasons[0].delta.unwrap();
    assert_eq!((delta.compute_ns, delta.launch_ns), (-40, Some(60)));
}

#[test]
fn ties_go_to_the_preferred_provider() {
    let mut problem = pair();
    problem.providers[GPU.index()].memory = 0;
    problem.providers[GPU.index()].launch = Cost::measured(10.0);
    let a = node(&mut problem, "a", &[100.0, 100.0]);
    let plan = plan(&problem);
    assert_eq!((owner(&plan, a), code(&plan, a, CPU)), (GPU, Code::Priority));
}

#[test]
fn wishes_are_reasons_too() {
    let mut problem = pair();
    let [a, b] = ["a", "b"].map(|name| node(&mut problem, name, &[10.0, 90_000.0]));
    let options =
        Options { pins: vec![(a, CPU)], forbids: vec![(Some(b), GPU)], ..Options::default() };
    let plan = solve(&problem, options).unwrap();
    assert_eq!(code(&plan, a, GPU), Code::Pinned);
    assert_eq!(code(&plan, b, GPU), Code::Forbidden);
}

#[test]
fn a_pin_that_cannot_hold_is_refused_with_the_providers_words() {
    let mut problem = pair();
    let a = node(&mut problem, "a", &[NEVER, 10.0]);
    let error =
        solve(&problem, Options { pins: vec![(a, GPU)], ..Options::default() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `a` is pinned to `gpu`, which cannot have it: op-unsupported (node `a`: no kernel \
         for `a`)"
    );
}

#[test]
fn what_stays_with_a_refused_node_says_with_which() {
    let mut problem = pair();
    let dequant = node(&mut problem, "dequant", &[10.0, 1_000.0]);
    let between = node(&mut problem, "between", &[10.0, 1_000.0]);
    let quant = node(&mut problem, "quant", &[NEVER, 1_000.0]);
    wire(&mut problem, dequant, &[between], 8);
    wire(&mut problem, between, &[quant], 8);
    for node in [dequant, quant] {
        problem.nodes[node.index()].group = Some(7);
    }
    let plan = plan(&problem);
    assert_eq!(code(&plan, between, GPU), Code::Group);
    assert!(plan.explain(dequant).contains("stays with node `quant`: op-unsupported"));
    assert_eq!(part(&plan, dequant), part(&plan, quant));
    assert_eq!(plan.notices[0].doubt, Doubt::GroupWidened);
    assert!(plan.notices[0].first.contains("between"));
}

#[test]
fn an_unknown_cost_is_an_answer_that_wins_nothing() {
    let mut problem = pair();
    let a = node(&mut problem, "a", &[10.0, 90_000.0]);
    problem.nodes[a.index()].answers[0][GPU.index()] = Answer::yes(Cost::UNKNOWN);
    let plan_of = |options| solve(&problem, options).unwrap();
    assert_eq!(owner(&plan_of(Options::default()), a), CPU);
    let forced = plan_of(Options { pins: vec![(a, GPU)], ..Options::default() });
    let placement = &forced.classes[0].placements[a.index()];
    assert_eq!((placement.source, placement.cost_ns), (Source::Unknown, 90_000));
    assert_eq!(forced.classes[0].parts[0].source, Source::Unknown);
}

#[test]
fn absurd_costs_are_noticed_by_provider_and_place() {
    let mut problem = pair();
    let a = node(&mut problem, "a", &[f64::NAN, 10.0]);
    let plan = plan(&problem);
    assert_eq!(owner(&plan, a), CPU);
    let sentence = plan.notices[0].sentence(Some("gpu"));
    assert_eq!(sentence, "`gpu`: not-a-number at node `a`: NaN ns (1 in all), taken as unknown");
}

#[test]
fn contradictions_are_errors_that_name_the_place() {
    let mut problem = pair();
    let [a, b] = ["a", "b"].map(|name| node(&mut problem, name, &[10.0, 10.0]));
    wire(&mut problem, a, &[b], 8);
    wire(&mut problem, b, &[a], 8);
    let error = solve(&problem, Options::default()).unwrap_err();
    assert!(matches!(error, PlanError::Cyclic { .. }), "{error}");
    let mut lone = pair();
    lone.fallback = None;
    node(&mut lone, "orphan", &[NEVER, NEVER]);
    let error = solve(&lone, Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no provider supports node `orphan` (Op): `gpu`: op-unsupported no kernel for `orphan`; \
         `cpu`: op-unsupported no kernel for `orphan`"
    );
}
