//! Identifies a question: the problem, the options and what was refused so far.

use crate::hash::Hash;
use crate::ids::ProviderId;
use crate::options::Options;
use crate::permit::Permits;
use crate::plan::PlanId;
use crate::problem::{Answer, Cost, Node, Problem};

/// The same for the same question, on every machine.
pub(crate) fn fingerprint(problem: &Problem, options: &Options, permits: &Permits) -> PlanId {
    let mut hash = Hash::new();
    hash.number(u64::from(problem.home.0));
    hash.number(problem.fallback.map_or(u64::MAX, |id| u64::from(id.0)));
    providers(&mut hash, problem);
    hash.number(problem.nodes.len() as u64);
    for entry in &problem.nodes {
        node(&mut hash, entry);
    }
    hash.number(problem.tensors.len() as u64);
    for tensor in &problem.tensors {
        hash.text(&tensor.name).number(tensor.producer.map_or(u64::MAX, |id| u64::from(id.0)));
        numbers(&mut hash, tensor.consumers.iter().map(|id| u64::from(id.0)));
        numbers(&mut hash, tensor.bytes.iter().copied());
        hash.number(u64::from(tensor.output));
    }
    numbers(&mut hash, problem.weights.iter().map(|weight| weight.bytes));
    wishes(&mut hash, options);
    for (&(node, provider), (code, text)) in &permits.refused {
        hash.number(u64::from(node.0)).number(u64::from(provider.0));
        hash.text(code.as_str()).text(text);
    }
    PlanId(hash.finish())
}

fn numbers(hash: &mut Hash, values: impl ExactSizeIterator<Item = u64>) {
    hash.number(values.len() as u64);
    for value in values {
        hash.number(value);
    }
}

fn cost(hash: &mut Hash, cost: Cost) {
    hash.number(cost.ns.to_bits()).text(cost.source.as_str());
}

fn providers(hash: &mut Hash, problem: &Problem) {
    hash.number(problem.providers.len() as u64);
    for provider in &problem.providers {
        hash.text(&provider.name);
        cost(hash, provider.launch);
        hash.number(provider.budget_bytes.unwrap_or(u64::MAX)).number(provider.workspace_bytes);
        hash.number(u64::from(provider.streams)).number(u64::from(provider.memory));
    }
    hash.number(problem.links.len() as u64);
    for link in &problem.links {
        hash.number(u64::from(link.from.0)).number(u64::from(link.to.0));
        cost(hash, link.latency);
        hash.number(link.bytes_per_ns.to_bits());
    }
    hash.number(problem.classes.len() as u64);
    for class in &problem.classes {
        hash.text(&class.name).number(u64::from(class.runs));
    }
}

fn node(hash: &mut Hash, node: &Node) {
    hash.text(&node.name).text(&node.op).number(node.answers.len() as u64);
    for answer in node.answers.iter().flatten() {
        match answer {
            Answer::Yes { cost: yes } => cost(hash, *yes),
            Answer::No { code, text } => drop(hash.text(code.as_str()).text(text)),
        }
    }
    numbers(hash, node.weights.iter().map(|id| u64::from(id.0)));
    hash.number(node.group.map_or(u64::MAX, u64::from));
    hash.number(node.block.map_or(u64::MAX, u64::from));
    hash.number(u64::from(node.tied) | u64::from(node.repeatable) << 1);
}

fn wishes(hash: &mut Hash, options: &Options) {
    hash.text(options.policy.as_str());
    let provider = |id: ProviderId| u64::from(id.0);
    hash.number(options.pins.len() as u64);
    for &(node, to) in &options.pins {
        hash.number(u64::from(node.0)).number(provider(to));
    }
    hash.number(options.forbids.len() as u64);
    for &(node, from) in &options.forbids {
        hash.number(node.map_or(u64::MAX, |node| u64::from(node.0))).number(provider(from));
    }
    for limit in [
        options.exhaustive_limit,
        options.moves_per_node,
        options.work_limit,
        options.replace_percent,
        u64::from(options.refusal_rounds),
    ] {
        hash.number(limit);
    }
}
