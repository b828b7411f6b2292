//! Checks a finished plan against its problem, in release builds too.
//!
//! These are the promises that the executor relies on: each node in exactly one part, each part on
//! a provider that may have its nodes, parts in an order in which nothing waits for a later one,
//! every tensor in the memory where it is read, buffers that do not overlap, budgets kept. One pass
//! over plan and graph.

use crate::error::PlanError;
use crate::ids::{NodeId, ProviderId};
use crate::permit::Permits;
use crate::plan::{ClassPlan, Plan};
use crate::problem::Problem;

/// Checks `plan`, which claims to solve `problem`.
pub(crate) fn verify(problem: &Problem, permits: &Permits, plan: &Plan) -> Result<(), PlanError> {
    let shape = plan.nodes.len() == problem.nodes.len()
        && plan.tensors.len() == problem.tensors.len()
        && plan.providers.len() == problem.providers.len()
        && plan.classes.len() == problem.classes.len().max(1);
    check(shape, "it has the problem's shape", || "plan".into())?;
    for (class, entry) in plan.classes.iter().enumerate() {
        in_range(plan, entry)?;
        let place = |node: NodeId| format!("class {class}, node `{}`", plan.nodes[node.index()]);
        cover(problem, entry, place)?;
        support(problem, permits, class, entry, place)?;
        acyclic(problem, entry)?;
        copies(problem, entry)?;
        reasons(plan, entry, place)?;
    }
    for provider in &plan.providers {
        let fits = provider.budget_bytes.is_none_or(|budget| provider.peak_bytes() <= budget);
        check(fits, "budgets are kept", || format!("provider `{}`", provider.name))?;
    }
    Ok(())
}

fn check(holds: bool, rule: &'static str, place: impl FnOnce() -> String) -> Result<(), PlanError> {
    if holds { Ok(()) } else { Err(PlanError::Broken { rule, place: place() }) }
}

/// Every index names something, so that the other checks may follow it.
fn in_range(plan: &Plan, class: &ClassPlan) -> Result<(), PlanError> {
    let (nodes, parts) = (plan.nodes.len(), class.parts.len());
    let provider = |id: ProviderId| id.index() < plan.providers.len();
    let holds = class.placements.len() == nodes
        && class.placements.iter().all(|p| provider(p.provider) && (p.part as usize) < parts)
        && class.parts.iter().all(|part| {
            let mut all = part.nodes.iter().chain(&part.repeats);
            provider(part.provider) && all.all(|node| node.index() < nodes)
        })
        && class.transfers.iter().all(|transfer| {
            transfer.tensor.index() < plan.tensors.len()
                && provider(transfer.from)
                && provider(transfer.to)
        });
    check(holds, "indices are in range", || format!("class `{}`", class.name))
}

/// Each node in exactly one part, and the placements agree.
fn cover(
    problem: &Problem,
    class: &ClassPlan,
    place: impl Fn(NodeId) -> String,
) -> Result<(), PlanError> {
    let mut times = vec![0u32; problem.nodes.len()];
    for (at, part) in class.parts.iter().enumerate() {
        for &node in &part.nodes {
            times[node.index()] += 1;
            let placement = &class.placements[node.index()];
            let agrees = placement.part as usize == at && placement.provider == part.provider;
            check(agrees, "placements and parts agree", || place(node))?;
        }
    }
    let odd = times.iter().position(|&count| count != 1);
    match odd {
        None => Ok(()),
        Some(node) => check(false, "each node is in one part", || place(NodeId::from(node))),
    }
}

/// Every node and repeat is on a provider that may have it, and on its pin.
fn support(
    problem: &Problem,
    permits: &Permits,
    class: usize,
    plan: &ClassPlan,
    place: impl Fn(NodeId) -> String,
) -> Result<(), PlanError> {
    for part in &plan.parts {
        for &node in part.nodes.iter().chain(&part.repeats) {
            let refusal = permits.refusal(problem, class, node, part.provider);
            check(refusal.is_none(), "providers have only what they may", || place(node))?;
        }
        for &node in &part.nodes {
            let held = permits.pin(node).is_none_or(|pin| pin == part.provider);
            check(held, "pins hold", || place(node))?;
        }
    }
    Ok(())
}

/// Nothing waits for a later part: the parts are a topological order of their own graph, so that it
/// has no cycle. Within a part nodes come after what they read.
fn acyclic(problem: &Problem, class: &ClassPlan) -> Result<(), PlanError> {
    let mut step = vec![0usize; problem.nodes.len()];
    for (at, node) in class.parts.iter().flat_map(|part| &part.nodes).enumerate() {
        step[node.index()] = at;
    }
    for tensor in &problem.tensors {
        let Some(producer) = tensor.producer else { continue };
        for &consumer in &tensor.consumers {
            let repeated = || {
                let part = &class.parts[class.placements[consumer.index()].part as usize];
                part.repeats.contains(&producer)
            };
            let ordered = step[producer.index()] < step[consumer.index()] || repeated();
            check(ordered, "no part waits for a later one", || {
                format!("tensor `{}`", tensor.name)
            })?;
        }
    }
    Ok(())
}

/// Every reader finds its tensor in its memory, and no tensor is copied twice into one memory.
fn copies(problem: &Problem, class: &ClassPlan) -> Result<(), PlanError> {
    let memory = |id: ProviderId| problem.providers[id.index()].memory;
    let mut arrived = remuda_base::Map::new();
    for transfer in &class.transfers {
        let key = (transfer.tensor, memory(transfer.to));
        let fresh = arrived.insert(key, transfer.needed.unwrap_or(u32::MAX)).is_none();
        let place = || format!("tensor `{}`", problem.tensors[transfer.tensor.index()].name);
        check(fresh, "one copy per tensor and memory", place)?;
    }
    let repeating: Vec<_> =
        class.parts.iter().enumerate().filter(|(_, part)| !part.repeats.is_empty()).collect();
    for (at, tensor) in problem.tensors.iter().enumerate() {
        let place = || format!("tensor `{}`", tensor.name);
        let made = tensor.producer.map(|node| &class.placements[node.index()]);
        let here = memory(made.map_or(problem.home, |placement| placement.provider));
        for &consumer in &tensor.consumers {
            let placement = &class.placements[consumer.index()];
            let there = memory(placement.provider);
            let part = &class.parts[placement.part as usize];
            let repeated = tensor.producer.is_some_and(|node| part.repeats.contains(&node));
            let copied =
                arrived.get(&(at.into(), there)).is_some_and(|&needed| needed <= placement.part);
            check(here == there || repeated || copied, "what is read has arrived", place)?;
        }
        for &(part, step) in &repeating {
            let reads = step.repeats.iter().any(|node| tensor.consumers.contains(node));
            let before = made.is_none_or(|placement| (placement.part as usize) < part);
            let copied = arrived
                .get(&(at.into(), memory(step.provider)))
                .is_some_and(|&needed| needed as usize <= part);
            let there = copied || (here == memory(step.provider) && before);
            check(!reads || there, "what a repeat reads has arrived", place)?;
        }
        let home = memory(problem.home);
        let out = !tensor.output || here == home || arrived.contains_key(&(at.into(), home));
        check(out, "outputs arrive at home", place)?;
    }
    Ok(())
}

/// One reason for every provider that did not get the node.
fn reasons(
    plan: &Plan,
    class: &ClassPlan,
    place: impl Fn(NodeId) -> String,
) -> Result<(), PlanError> {
    for (at, placement) in class.placements.iter().enumerate() {
        let given = placement.reasons.iter().map(|reason| reason.provider.index());
        let owner = placement.provider.index();
        let wanted = (0..plan.providers.len()).filter(|&provider| provider != owner);
        check(given.eq(wanted), "every other provider has a reason", || place(at.into()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::verify;
    use crate::error::PlanError;
    use crate::ids::ProviderId;
    use crate::options::Options;
    use crate::permit::Permits;
    use crate::plan::Plan;
    use crate::planner::Planner;
    use crate::problem::{Answer, Cost, Node, Problem, Provider, Tensor};

    /// The cross diamond: a1 and b1 feed both a2 and b2; a's are pinned to A, b's to B.
    fn cross_diamond() -> (Problem, Options, Plan) {
        let mut problem = Problem::default();
        for (name, memory) in [("A", 1), ("B", 0)] {
            let launch = Cost::measured(5.0);
            let name = name.into();
            problem.add_provider(Provider { name, memory, launch, ..Default::default() });
        }
        problem.home = ProviderId(1);
        problem.link_both(ProviderId(0), ProviderId(1), Cost::measured(10.0), 1.0);
        let row = vec![Answer::yes(Cost::measured(9.0)); 2];
        let nodes = ["a1", "a2", "b1", "b2"].map(|name| {
            let answers = vec![row.clone()];
            problem.add_node(Node { name: name.into(), answers, ..Default::default() })
        });
        for (at, to) in [(0, [1, 3]), (2, [3, 1])] {
            problem.add_tensor(Tensor {
                name: format!("t{at}"),
                producer: Some(nodes[at]),
                consumers: to.map(|to| nodes[to]).to_vec(),
                bytes: vec![8],
                ..Default::default()
            });
        }
        let pins = nodes.iter().zip([0, 0, 1, 1]).map(|(&n, p)| (n, ProviderId(p))).collect();
        let options = Options { pins, ..Options::default() };
        let plan = Planner::new(problem.clone(), options.clone()).unwrap().plan(None).unwrap();
        (problem, options, plan)
    }

    /// The rule that `change` breaks.
    fn broken(change: impl Fn(&mut Plan)) -> &'static str {
        let (problem, options, mut plan) = cross_diamond();
        let permits = Permits::new(&problem, &options).unwrap();
        assert_eq!(verify(&problem, &permits, &plan), Ok(()));
        change(&mut plan);
        match verify(&problem, &permits, &plan) {
            Err(PlanError::Broken { rule, .. }) => rule,
            other => panic!("not noticed: {other:?}"),
        }
    }

    #[test]
    fn parts_that_wait_for_each_other_are_noticed() {
        let rule = broken(|plan| {
            let class = &mut plan.classes[0];
            let provider = class.parts[0].provider;
            let late = class.parts.remove(2);
            assert_eq!(late.provider, provider);
            class.parts[0].nodes.extend(late.nodes);
            for placement in &mut class.placements {
                placement.part = u32::from(placement.provider != provider);
            }
        });
        assert_eq!(rule, "no part waits for a later one");
    }

    #[test]
    fn every_other_rule_is_checked_too() {
        let class = |plan: &mut Plan| plan.classes[0].clone();
        assert_eq!(
            broken(|plan| {
                let node = class(plan).parts[0].nodes[0];
                plan.classes[0].parts[0].nodes.push(node);
            }),
            "each node is in one part"
        );
        assert_eq!(broken(|plan| plan.classes[0].transfers.clear()), "what is read has arrived");
        assert_eq!(
            broken(|plan| {
                let copy = class(plan).transfers[0].clone();
                plan.classes[0].transfers.push(copy);
            }),
            "one copy per tensor and memory"
        );
        assert_eq!(
            broken(|plan| drop(plan.classes[0].placements[1].reasons.pop())),
            "every other provider has a reason"
        );
        assert_eq!(broken(|plan| plan.providers[0].budget_bytes = Some(1)), "budgets are kept");
        assert_eq!(broken(|plan| drop(plan.nodes.pop())), "it has the problem's shape");
        let range = "indices are in range";
        assert_eq!(broken(|plan| plan.classes[0].placements[0].part = 9), range);
        assert_eq!(broken(|plan| drop(plan.classes[0].placements.pop())), range);
        assert_eq!(broken(|plan| plan.classes[0].transfers[0].to = ProviderId(9)), range);
        assert_eq!(
            broken(|plan| {
                let class = &mut plan.classes[0];
                let other = |id: ProviderId| ProviderId(1 - id.0);
                for part in &mut class.parts {
                    part.provider = other(part.provider);
                }
                for placement in &mut class.placements {
                    placement.provider = other(placement.provider);
                }
            }),
            "pins hold"
        );
    }
}
