//! The obligations of the planner, each as a property over generated problems.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use remuda_plan::{
    Answer, Code, Cost, NodeId, Options, Origin, Plan, PlanError, Planner, Policy, Problem,
    ProviderId,
};

use crate::generate::{Recipe, SHAPES, problem};

fn recipes() -> impl Strategy<Value = Recipe> {
    let size = (any::<u64>(), select(&SHAPES[..]), 1usize..40, 2usize..6);
    (size, any::<[bool; 5]>()).prop_map(|((seed, shape, nodes, providers), flags)| {
        let [budgets, pins, groups, classes, repeats] = flags;
        Recipe { seed, shape, nodes, providers, budgets, pins, groups, classes, repeats }
    })
}

fn planned(recipe: &Recipe) -> (Problem, Options, Plan) {
    let (problem, options) = problem(recipe);
    let planner = Planner::new(problem.clone(), options.clone()).unwrap();
    let plan = planner.plan(None).unwrap();
    (problem, options, plan)
}

fn refused(problem: &Problem, class: usize, node: NodeId, provider: ProviderId) -> bool {
    let rows = &problem.nodes[node.index()].answers;
    matches!(rows[class.min(rows.len() - 1)][provider.index()], Answer::No { .. })
}

/// The problem without one of its providers; the home and fallback stay last.
fn without(problem: &Problem, gone: ProviderId) -> Problem {
    let mut less = problem.clone();
    let at = gone.index();
    less.providers.remove(at);
    let moved = |id: ProviderId| ProviderId::from(id.index() - usize::from(id.index() > at));
    less.home = moved(less.home);
    less.fallback = less.fallback.map(moved);
    less.links.retain(|link| link.from != gone && link.to != gone);
    for link in &mut less.links {
        (link.from, link.to) = (moved(link.from), moved(link.to));
    }
    for row in less.nodes.iter_mut().flat_map(|node| &mut node.answers) {
        row.remove(at);
    }
    less
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_node_is_in_exactly_one_part(recipe in recipes()) {
        let (problem, _, plan) = planned(&recipe);
        for class in &plan.classes {
            let mut nodes: Vec<usize> =
                class.parts.iter().flat_map(|part| &part.nodes).map(|node| node.index()).collect();
            nodes.sort_unstable();
            prop_assert_eq!(nodes, (0..problem.nodes.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn providers_get_only_what_they_said_yes_to(recipe in recipes()) {
        let (problem, options, plan) = planned(&recipe);
        for (at, class) in plan.classes.iter().enumerate() {
            for (node, placement) in class.placements.iter().enumerate() {
                prop_assert!(!refused(&problem, at, node.into(), placement.provider));
            }
            for &(node, provider) in &options.pins {
                prop_assert_eq!(class.placements[node.index()].provider, provider);
            }
            for &(node, provider) in &options.forbids {
                prop_assert_ne!(class.placements[node.unwrap().index()].provider, provider);
            }
        }
    }

    #[test]
    fn no_part_waits_for_a_later_one(recipe in recipes()) {
        let (problem, _, plan) = planned(&recipe);
        for class in &plan.classes {
            let edges = problem.tensors.iter().flat_map(|tensor| {
                let part = |node: NodeId| class.placements[node.index()].part as usize;
                let readers = tensor.consumers.iter();
                readers.filter_map(move |&to| Some((part(tensor.producer?), part(to))))
            });
            let mut edges: BTreeSet<(usize, usize)> = edges.collect();
            prop_assert!(edges.iter().all(|(from, to)| from <= to));
            edges.retain(|(from, to)| from != to);
            // The parts by themselves, whatever their order: peeling leaves nothing.
            let mut left: BTreeSet<usize> = (0..class.parts.len()).collect();
            while let Some(&free) =
                left.iter().find(|&&p| !edges.iter().any(|e| e.1 == p && left.contains(&e.0)))
            {
                left.remove(&free);
            }
            prop_assert!(left.is_empty());
        }
    }

    #[test]
    fn what_stays_together_is_in_one_part(recipe in recipes()) {
        let (problem, _, plan) = planned(&recipe);
        for class in &plan.classes {
            for (a, node) in problem.nodes.iter().enumerate() {
                for (b, mate) in problem.nodes.iter().enumerate() {
                    if node.group.is_some() && node.group == mate.group {
                        prop_assert_eq!(class.placements[a].part, class.placements[b].part);
                    }
                }
            }
        }
        for (at, node) in problem.nodes.iter().enumerate().filter(|(_, node)| node.tied) {
            let owners: BTreeSet<_> = plan.classes.iter().map(|c| c.placements[at].provider).collect();
            prop_assert_eq!(owners.len(), 1, "state of `{}` is in two places", node.name);
        }
    }

    #[test]
    fn a_node_that_all_refuse_is_named_before_anything_starts(
        recipe in recipes(),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut problem, options) = problem(&recipe);
        let node = at.index(problem.nodes.len());
        for answer in problem.nodes[node].answers.iter_mut().flatten() {
            *answer = Answer::no(Code::Dtype, "no kernel for `Add` of complex64");
        }
        let error = Planner::new(problem.clone(), options).unwrap_err();
        let PlanError::Unsupported { node: name, op, .. } = &error else {
            return Err(TestCaseError::fail(error.to_string()));
        };
        prop_assert_eq!((name, op), (&problem.nodes[node].name, &problem.nodes[node].op));
        prop_assert!(error.to_string().contains("complex64"));
    }

    #[test]
    fn no_plan_is_worse_than_the_seeds(recipe in recipes()) {
        let (problem, options, plan) = planned(&recipe);
        let priority = Options { policy: Policy::Priority, ..options.clone() };
        let others = Planner::new(problem.clone(), priority).unwrap().plan(None).unwrap();
        prop_assert!(plan.cost_ns <= others.cost_ns);
        prop_assert!(others.instead.is_empty());
        let greedy = plan.instead.iter().find(|instead| instead.rule == Origin::Priority);
        prop_assert!(greedy.is_none_or(|greedy| others.cost_ns <= greedy.cost_ns));
        prop_assert!(greedy.is_some() || recipe.budgets || recipe.pins);
        prop_assert!(plan.instead.iter().all(|instead| plan.cost_ns <= instead.cost_ns));
        let mut alone = Options::default();
        let cpu = problem.fallback.unwrap();
        let rest = (0..cpu.index()).map(|at| (None, ProviderId::from(at)));
        alone.forbids = rest.collect();
        let cpu = Planner::new(problem, alone).unwrap().plan(None).unwrap();
        prop_assert!(options.pins.len() == 1 || plan.cost_ns <= cpu.cost_ns);
    }

    #[test]
    fn another_provider_never_makes_it_slower(recipe in recipes(), gone in 0u32..5) {
        let (problem, _) = problem(&Recipe { pins: false, ..recipe });
        prop_assume!((gone as usize) < problem.providers.len() - 1);
        let less = Planner::new(without(&problem, ProviderId(gone)), Options::default()).unwrap();
        let before = less.plan(None).unwrap();
        let more = Planner::new(problem, Options::default()).unwrap();
        prop_assert!(more.plan(Some(&before)).unwrap().cost_ns <= before.cost_ns);
    }

    #[test]
    fn the_same_question_has_the_same_answer_byte_for_byte(recipe in recipes()) {
        let (problem, options, plan) = planned(&recipe);
        let again = Planner::new(problem, options).unwrap().plan(None).unwrap();
        prop_assert_eq!(plan.to_json(), again.to_json());
        prop_assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
    }

    #[test]
    fn small_changes_do_not_replace_a_cached_plan(recipe in recipes(), percent in -1i32..=1) {
        let (mut problem, options, plan) = planned(&Recipe { pins: false, ..recipe });
        for answer in problem.nodes.iter_mut().flat_map(|n| &mut n.answers).flatten() {
            if let Answer::Yes { cost } = answer {
                cost.ns *= 1.0 + f64::from(percent) / 100.0;
            }
        }
        let kept = Planner::new(problem, options).unwrap().plan(Some(&plan)).unwrap();
        for (old, new) in plan.classes.iter().zip(&kept.classes) {
            let owners = |class: &remuda_plan::ClassPlan| -> Vec<ProviderId> {
                class.placements.iter().map(|placement| placement.provider).collect()
            };
            prop_assert_eq!(owners(old), owners(new));
        }
    }

    #[test]
    fn every_provider_that_did_not_get_a_node_has_a_reason(recipe in recipes()) {
        let (problem, options, plan) = planned(&recipe);
        for (at, class) in plan.classes.iter().enumerate() {
            for (node, placement) in class.placements.iter().enumerate() {
                let given: Vec<_> = placement.reasons.iter().map(|r| r.provider).collect();
                let wanted = (0..problem.providers.len()).map(ProviderId::from);
                let wanted: Vec<_> = wanted.filter(|&p| p != placement.provider).collect();
                prop_assert_eq!(given, wanted);
                for reason in &placement.reasons {
                    let node = NodeId::from(node);
                    let forbidden = options.forbids.contains(&(Some(node), reason.provider));
                    let no = refused(&problem, at, node, reason.provider) && !forbidden;
                    prop_assert_eq!(reason.code == Code::OpUnsupported, no);
                    prop_assert_eq!(reason.code == Code::Forbidden, forbidden);
                    prop_assert_ne!(reason.code, Code::Other);
                    let movable = reason.delta.is_some_and(|delta| delta.launch_ns.is_some());
                    if movable && !matches!(reason.code, Code::Memory | Code::SearchLimit) {
                        prop_assert!(reason.delta.unwrap().total_ns() >= 0, "{:?}", reason);
                    }
                }
            }
        }
    }

    #[test]
    fn budgets_hold_and_buffers_do_not_overlap(recipe in recipes()) {
        let (problem, _, plan) = planned(&Recipe { budgets: true, ..recipe });
        for (at, used) in plan.providers.iter().enumerate() {
            prop_assert!(used.budget_bytes.is_none_or(|budget| used.peak_bytes() <= budget));
            prop_assert_eq!(used.budget_bytes, problem.providers[at].budget_bytes);
        }
        for class in &plan.classes {
            for (i, a) in class.buffers.iter().enumerate() {
                let arena = plan.providers[a.provider.index()].arena_bytes;
                prop_assert!(a.offset + a.bytes <= arena);
                for b in class.buffers[i + 1..].iter().filter(|b| b.provider == a.provider) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
                    prop_assert!(!together || apart);
                }
            }
        }
    }

    #[test]
    fn absurd_numbers_neither_panic_nor_stop_the_plan(
        recipe in recipes(),
        absurd in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<f64>(), any::<u64>()), 1..12),
    ) {
        let (mut problem, _) = problem(&Recipe { pins: false, budgets: false, ..recipe });
        for (at, number, bytes) in absurd {
            let node = at.index(problem.nodes.len());
            for answer in problem.nodes[node].answers.iter_mut().flatten() {
                *answer = Answer::yes(Cost::declared(number));
            }
            let tensor = at.index(problem.tensors.len());
            problem.tensors[tensor].bytes = vec![bytes];
            let provider = at.index(problem.providers.len());
            problem.providers[provider].launch = Cost::measured(number);
            problem.providers[provider].workspace_bytes = bytes;
            if let Some(link) = problem.links.get_mut(at.index(99)) {
                (link.latency, link.bytes_per_ns) = (Cost::measured(-number), number);
            }
        }
        let plan = Planner::new(problem, Options::default()).unwrap().plan(None).unwrap();
        prop_assert!(!plan.classes[0].parts.is_empty());
    }

    #[test]
    fn refusing_and_planning_again_comes_to_an_end(recipe in recipes(), seed in any::<u64>()) {
        let (problem, options) = problem(&Recipe { pins: false, ..recipe });
        let cpu = problem.fallback.unwrap();
        let pairs = problem.nodes.len() * problem.providers.len();
        let mut planner = Planner::new(problem, options).unwrap();
        let mut dice = crate::generate::Dice::new(seed);
        let mut rounds = 0;
        let last = loop {
            let plan = planner.plan(None).unwrap();
            let foreign: Vec<_> = plan.classes.iter().flat_map(|class| &class.parts)
                .filter(|part| part.provider != cpu).cloned().collect();
            if foreign.is_empty() {
                break plan;
            }
            let part = &foreign[dice.below(foreign.len())];
            let nodes = if dice.chance(50) { part.nodes.clone() } else { vec![part.nodes[0]] };
            planner.refuse(&nodes, part.provider, Code::CompileFailed, "out of registers").unwrap();
            prop_assert!(planner.refuse(&nodes, part.provider, Code::Other, "").is_err());
            rounds += 1;
            prop_assert!(rounds <= pairs);
        };
        let codes: BTreeSet<Code> = last.classes.iter().flat_map(|class| &class.placements)
            .flat_map(|placement| &placement.reasons).map(|reason| reason.code).collect();
        prop_assert!(rounds == 0 || codes.contains(&Code::CompileFailed));
    }
}
