//! From a checked problem to the model that is searched.
//!
//! Nodes that must stay together are contracted, and with them whatever lies on a path between two
//! of them: otherwise the contracted graph would have a cycle. Pins, forbids and refusals become
//! the set of providers that each unit may have.

use crate::blocks;
use crate::error::PlanError;
use crate::graph::{Graph, Joined, renumber, strong_components};
use crate::ids::NodeId;
use crate::memory::aligned;
use crate::model::{Flow, From, Lifetime, Model, Unit};
use crate::notice::{Doubt, Notices};
use crate::permit::Permits;
use crate::price::{LARGEST_BYTES, Prices, price};
use crate::problem::Problem;

/// The model of `problem`, which has passed validation.
pub(crate) fn prepare(
    problem: &Problem,
    permits: &Permits,
    notices: &mut Notices,
) -> Result<Model, PlanError> {
    let prices = price(problem, notices);
    let edges = node_edges(problem);
    let nodes = Graph::new(problem.nodes.len(), edges.clone())
        .map_err(|node| PlanError::Cyclic { node: problem.nodes[node as usize].name.clone() })?;
    let vertex_of = contract(problem, &edges, notices);
    let count = vertex_of.iter().max().map_or(0, |&last| last as usize + 1);
    let mut vertex_nodes = vec![Vec::new(); count];
    for &node in &nodes.topo {
        vertex_nodes[vertex_of[node as usize] as usize].push(node);
    }
    let between = |&(from, to): &(u32, u32)| {
        let pair = (vertex_of[from as usize], vertex_of[to as usize]);
        (pair.0 != pair.1).then_some(pair)
    };
    let graph = Graph::new(count, edges.iter().filter_map(between).collect()).map_err(|_| {
        PlanError::Broken { rule: "contraction is acyclic", place: "groups".into() }
    })?;
    let (domain, domains) = memories(problem);
    let mut model = Model {
        providers: problem.providers.len(),
        domain,
        domains,
        home: problem.home.index(),
        fallback: problem.fallback.map(crate::ids::ProviderId::index),
        graph,
        vertex_nodes,
        vertex_of,
        node_order: nodes.topo,
        unit_of: Vec::new(),
        units: Vec::new(),
        flows: Vec::new(),
        launch: launches(&prices),
        roles: Vec::new(),
        blocks: Vec::new(),
        chains: Vec::new(),
        budgets: budgets(problem),
        tensors: lifetimes(problem),
        all_bytes: prices.bytes.iter().map(|bytes| all_bytes(bytes)).collect(),
        prices,
    };
    make_units(problem, permits, &mut model)?;
    make_flows(&mut model);
    blocks::find(problem, &mut model);
    Ok(model)
}

fn node_edges(problem: &Problem) -> Vec<(u32, u32)> {
    let mut edges = Vec::new();
    for tensor in &problem.tensors {
        if let Some(producer) = tensor.producer {
            edges.extend(tensor.consumers.iter().map(|consumer| (producer.0, consumer.0)));
        }
    }
    edges
}

/// The vertex of each node.
fn contract(problem: &Problem, edges: &[(u32, u32)], notices: &mut Notices) -> Vec<u32> {
    let count = problem.nodes.len();
    let mut joined = Joined::new(count);
    let mut first = remuda_base::Map::new();
    for (at, node) in problem.nodes.iter().enumerate() {
        if let Some(group) = node.group {
            joined.join(*first.entry(group).or_insert(at as u32), at as u32);
        }
    }
    let together: Vec<u32> = (0..count as u32).map(|node| joined.find(node)).collect();
    let contracted: Vec<_> =
        edges.iter().map(|&(from, to)| (together[from as usize], together[to as usize])).collect();
    let component = strong_components(count, &contracted);
    let vertex_of: Vec<u32> = together.iter().map(|&first| component[first as usize]).collect();
    let mut size = vec![0u32; count];
    for &vertex in &vertex_of {
        size[vertex as usize] += 1;
    }
    for (node, &vertex) in problem.nodes.iter().zip(&vertex_of) {
        if node.group.is_none() && size[vertex as usize] > 1 {
            notices.note(None, Doubt::GroupWidened, || format!("node `{}`", node.name));
        }
    }
    renumber(&vertex_of)
}

fn memories(problem: &Problem) -> (Vec<usize>, usize) {
    let labels: Vec<u32> = problem.providers.iter().map(|provider| provider.memory).collect();
    let domain: Vec<usize> = renumber(&labels).into_iter().map(|label| label as usize).collect();
    let count = domain.iter().max().map_or(0, |&last| last + 1);
    (domain, count)
}

fn launches(prices: &Prices) -> Vec<Vec<i64>> {
    let weighted = |runs: &u64| prices.launch.iter().map(|price| signed(price.ns * runs)).collect();
    prices.runs.iter().map(weighted).collect()
}

fn budgets(problem: &Problem) -> Vec<Option<u64>> {
    let capped = |budget: u64| budget.min(LARGEST_BYTES << 12);
    problem.providers.iter().map(|provider| provider.budget_bytes.map(capped)).collect()
}

fn lifetimes(problem: &Problem) -> Vec<Lifetime> {
    let all = problem.tensors.iter().map(|tensor| Lifetime {
        producer: tensor.producer.map(|node| node.0),
        consumers: tensor.consumers.iter().map(|node| node.0).collect(),
        output: tensor.output,
    });
    all.collect()
}

fn all_bytes(bytes: &[u64]) -> u64 {
    bytes.iter().map(|&bytes| aligned(bytes)).fold(0, u64::saturating_add)
}

/// Prices are capped far below the sign bit.
fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

fn make_units(problem: &Problem, permits: &Permits, model: &mut Model) -> Result<(), PlanError> {
    let classes = model.prices.runs.len();
    let vertices = model.graph.len();
    let tied: Vec<bool> = model
        .vertex_nodes
        .iter()
        .map(|nodes| nodes.iter().any(|&node| problem.nodes[node as usize].tied))
        .collect();
    model.unit_of = vec![vec![0; vertices]; classes];
    for class in 0..classes {
        for (vertex, &tied) in tied.iter().enumerate() {
            if class > 0 && tied {
                let unit = model.unit_of[0][vertex];
                model.unit_of[class][vertex] = unit;
                model.units[unit as usize].members.push((class as u32, vertex as u32));
                continue;
            }
            model.unit_of[class][vertex] = model.units.len() as u32;
            model.units.push(Unit {
                allowed: 0,
                cost: vec![0; model.providers],
                weights: Vec::new(),
                made_bytes: 0,
                members: vec![(class as u32, vertex as u32)],
                incoming: Vec::new(),
                outgoing: Vec::new(),
            });
        }
    }
    for at in 0..model.units.len() {
        let unit = fill_unit(problem, permits, model, at)?;
        model.units[at] = unit;
    }
    Ok(())
}

fn fill_unit(
    problem: &Problem,
    permits: &Permits,
    model: &Model,
    at: usize,
) -> Result<Unit, PlanError> {
    let mut unit = model.units[at].clone();
    let members: Vec<(usize, NodeId)> = unit
        .members
        .iter()
        .flat_map(|&(class, vertex)| {
            let nodes = &model.vertex_nodes[vertex as usize];
            nodes.iter().map(move |&node| (class as usize, NodeId(node)))
        })
        .collect();
    unit.allowed = permits.allowed(problem, &members)?;
    for &(class, node) in &members {
        let runs = model.prices.runs[class];
        for (provider, price) in model.prices.nodes[class][node.index()].iter().enumerate() {
            unit.cost[provider] += signed(price.map_or(0, |price| price.ns) * runs);
        }
        let weights = problem.nodes[node.index()].weights.iter().map(|weight| weight.0);
        unit.weights.extend(weights);
    }
    unit.weights.sort_unstable();
    unit.weights.dedup();
    Ok(unit)
}

fn make_flows(model: &mut Model) {
    for class in 0..model.classes() {
        for at in 0..model.tensors.len() {
            if let Some(flow) = flow(model, class, at) {
                let id = model.flows.len() as u32;
                if let From::Unit(unit) = flow.from {
                    model.units[unit as usize].made_bytes += model.prices.bytes[class][at];
                    model.units[unit as usize].outgoing.push(id);
                }
                for &unit in &flow.to {
                    model.units[unit as usize].incoming.push(id);
                }
                model.flows.push(flow);
            }
        }
    }
}

fn flow(model: &Model, class: usize, at: usize) -> Option<Flow> {
    let tensor = &model.tensors[at];
    let unit = |node: u32| model.unit_of[class][model.vertex_of[node as usize] as usize];
    let from = tensor.producer.map_or(From::Home, |node| From::Unit(unit(node)));
    let mut to: Vec<u32> = tensor.consumers.iter().map(|&node| unit(node)).collect();
    to.sort_unstable();
    to.dedup();
    if let From::Unit(maker) = from {
        to.retain(|&reader| reader != maker);
    }
    let home = tensor.output && from != From::Home;
    if to.is_empty() && !home {
        return None;
    }
    let (bytes, runs) = (model.prices.bytes[class][at], model.prices.runs[class]);
    let mut copy = vec![0; model.providers * model.domains];
    for provider in 0..model.providers {
        for domain in 0..model.domains {
            let price = model.cheapest_copy(bytes, provider, domain);
            copy[provider * model.domains + domain] = signed(price.ns * runs);
        }
    }
    Some(Flow { class: class as u32, from, to, home, copy })
}
