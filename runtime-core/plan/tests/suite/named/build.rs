//! A short way to write a problem down.

use remuda_plan::{
    Answer, Code, Cost, Node, NodeId, Options, Plan, PlanError, Planner, Problem, Provider,
    ProviderId, Tensor, TensorId,
};

pub(super) const GPU: ProviderId = ProviderId(0);
pub(super) const CPU: ProviderId = ProviderId(1);
pub(super) const NEVER: f64 = -1.0;

/// Providers with a launch cost and a memory each; the last is home and fallback. Copies cost 100 ns
/// and 1 ns per byte.
pub(super) fn machine(providers: &[(&str, f64, u32)]) -> Problem {
    let mut problem = Problem::default();
    for &(name, launch, memory) in providers {
        let launch = Cost::measured(launch);
        let name = name.into();
        problem.add_provider(Provider { name, launch, memory, ..Default::default() });
    }
    for a in 0..providers.len() {
        for b in 0..a {
            problem.link_both(a.into(), b.into(), Cost::measured(100.0), 1.0);
        }
    }
    let last = ProviderId::from(providers.len() - 1);
    (problem.home, problem.fallback) = (last, Some(last));
    problem
}

/// A GPU and a CPU, launches of 50 and 10 ns.
pub(super) fn pair() -> Problem {
    machine(&[("gpu", 50.0, 1), ("cpu", 10.0, 0)])
}

/// A node with its cost on each provider; [`NEVER`] where it is refused.
pub(super) fn node(problem: &mut Problem, name: &str, costs: &[f64]) -> NodeId {
    let answers = costs.iter().map(|&ns| {
        if ns == NEVER {
            Answer::no(Code::OpUnsupported, format!("no kernel for `{name}`"))
        } else {
            Answer::yes(Cost::measured(ns))
        }
    });
    let answers = vec![answers.collect()];
    problem.add_node(Node { name: name.into(), op: "Op".into(), answers, ..Default::default() })
}

/// A tensor of some bytes from one node to others.
pub(super) fn wire(problem: &mut Problem, from: NodeId, to: &[NodeId], bytes: u64) -> TensorId {
    problem.add_tensor(Tensor {
        name: format!("t{}", problem.tensors.len()),
        producer: Some(from),
        consumers: to.to_vec(),
        bytes: vec![bytes],
        ..Default::default()
    })
}

/// A graph input of some bytes.
pub(super) fn input(problem: &mut Problem, to: &[NodeId], bytes: u64) -> TensorId {
    problem.add_tensor(Tensor {
        name: "input".into(),
        consumers: to.to_vec(),
        bytes: vec![bytes],
        ..Default::default()
    })
}

pub(super) fn solve(problem: &Problem, options: Options) -> Result<Plan, PlanError> {
    Planner::new(problem.clone(), options)?.plan(None)
}

pub(super) fn plan(problem: &Problem) -> Plan {
    solve(problem, Options::default()).unwrap()
}

pub(super) fn owner(plan: &Plan, node: NodeId) -> ProviderId {
    plan.classes[0].placements[node.index()].provider
}

pub(super) fn part(plan: &Plan, node: NodeId) -> u32 {
    plan.classes[0].placements[node.index()].part
}

/// The code with which `provider` did not get `node`.
pub(super) fn code(plan: &Plan, node: NodeId, provider: ProviderId) -> Code {
    let reasons = &plan.classes[0].placements[node.index()].reasons;
    reasons.iter().find(|reason| reason.provider == provider).unwrap().code
}
