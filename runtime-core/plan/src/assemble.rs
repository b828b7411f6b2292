//! Writes a judged assignment out as a plan: parts with their edges, copies, buffers, costs.

use crate::ids::{NodeId, ProviderId, TensorId};
use crate::judge::fixed_need;
use crate::memory::{ALIGN_BYTES, Lives, Order, lives};
use crate::model::Model;
use crate::pack::pack;
use crate::plan::{Breakdown, Buffer, ClassPlan, Part, Placement, ProviderUse, Transfer};
use crate::problem::{Problem, Source};
use crate::reason::Reason;
use crate::schedule::Schedule;
use crate::state::State;

/// The plan of one class, and the arena each provider needs for it. `reasons` has one list per node.
pub(crate) fn class_plan(
    problem: &Problem,
    model: &Model,
    class: usize,
    schedule: &Schedule,
    reasons: Vec<Vec<Reason>>,
) -> (ClassPlan, Vec<u64>) {
    let order = schedule.order();
    let mut lives = lives(model, class, &order);
    schedule.without_repeated(&mut lives, &model.domain);
    let (buffers, arenas) = buffers(model, &lives);
    let transfers = transfers(model, class, &lives);
    let mut parts = parts(problem, model, class, schedule);
    edges(model, &order, schedule, &mut parts);
    let placements = placements(model, class, &order, reasons);
    let cost = Breakdown {
        compute_ns: parts.iter().map(|part| part.compute_ns).sum(),
        transfer_ns: transfers.iter().map(|transfer| transfer.cost_ns).sum(),
        launch_ns: parts.iter().map(|part| part.launch_ns).sum(),
    };
    let plan = ClassPlan {
        name: problem.classes.get(class).map_or(String::new(), |class| class.name.clone()),
        runs: model.prices.runs[class] as u32,
        parts,
        placements,
        transfers,
        buffers,
        cost,
    };
    (plan, arenas)
}

/// Every provider's share of memory; `arenas` per class.
pub(crate) fn provider_uses(
    problem: &Problem,
    state: &State<'_>,
    arenas: &[Vec<u64>],
) -> Vec<ProviderUse> {
    let uses = problem.providers.iter().enumerate().map(|(at, provider)| ProviderUse {
        name: provider.name.clone(),
        budget_bytes: provider.budget_bytes,
        weights_bytes: state.resident(at),
        workspace_bytes: fixed_need(state, at) - state.resident(at),
        arena_bytes: arenas.iter().map(|class| class[at]).max().unwrap_or(0),
    });
    uses.collect()
}

fn buffers(model: &Model, lives: &Lives) -> (Vec<Buffer>, Vec<u64>) {
    let mut buffers = Vec::with_capacity(lives.alive.len());
    let mut arenas = Vec::with_capacity(model.providers);
    for provider in 0..model.providers {
        let packing = pack(&lives.of(provider), ALIGN_BYTES);
        let mine = lives.alive.iter().filter(|alive| alive.provider == provider);
        buffers.extend(mine.zip(&packing.offsets).map(|(alive, &offset)| Buffer {
            tensor: TensorId(alive.tensor),
            provider: ProviderId::from(provider),
            offset,
            bytes: alive.interval.bytes,
            first: alive.interval.first,
            last: alive.interval.last,
        }));
        arenas.push(packing.peak_bytes);
    }
    (buffers, arenas)
}

fn transfers(model: &Model, class: usize, lives: &Lives) -> Vec<Transfer> {
    let mut moves = lives.moves.clone();
    moves.sort_by_key(|step| (step.needed.unwrap_or(u32::MAX), step.tensor, step.to));
    let transfers = moves.iter().map(|step| {
        let bytes = model.prices.bytes[class][step.tensor as usize];
        let price = model.cheapest_copy(bytes, step.from, model.domain[step.to]);
        Transfer {
            tensor: TensorId(step.tensor),
            from: ProviderId::from(step.from),
            to: ProviderId::from(step.to),
            bytes,
            cost_ns: price.ns,
            source: price.source,
            issue: step.issue,
            needed: step.needed,
        }
    });
    transfers.collect()
}

fn parts(problem: &Problem, model: &Model, class: usize, schedule: &Schedule) -> Vec<Part> {
    let place = |node: &u32| schedule.part_of[model.vertex_of[*node as usize] as usize] as usize;
    let mut nodes: Vec<Vec<NodeId>> = vec![Vec::new(); schedule.parts.len()];
    for node in &model.node_order {
        nodes[place(node)].push(NodeId(*node));
    }
    let mut launched = remuda_base::Set::new();
    let parts = schedule.parts.iter().zip(nodes).map(|(part, nodes)| {
        let provider = part.provider as usize;
        let launch = model.prices.launch[provider];
        let fresh = launched.insert(part.wave);
        let mut source = if fresh { launch.source } else { Source::Measured };
        let mut compute_ns = 0;
        for node in nodes.iter().chain(&part.repeats) {
            let price = model.prices.nodes[class][node.index()][provider].unwrap_or_default();
            compute_ns += price.ns;
            source = source.max(price.source);
        }
        Part {
            provider: ProviderId::from(provider),
            wave: part.wave,
            nodes,
            repeats: part.repeats.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            compute_ns,
            launch_ns: if fresh { launch.ns } else { 0 },
            source,
        }
    });
    debug_assert_eq!(problem.nodes.len(), model.node_order.len());
    parts.collect()
}

/// Fills in what each part reads from outside and makes for others.
fn edges(model: &Model, order: &Order, schedule: &Schedule, parts: &mut [Part]) {
    let place = |node: u32| order.part_of[model.vertex_of[node as usize] as usize];
    for (at, tensor) in model.tensors.iter().enumerate() {
        let id = TensorId::from(at);
        let made = tensor.producer.map(place);
        let mut readers: Vec<u32> = tensor.consumers.iter().map(|&node| place(node)).collect();
        readers.sort_unstable();
        readers.dedup();
        readers.retain(|&part| Some(part) != made);
        let mut leaves = tensor.output;
        for part in readers {
            if schedule.repeats_producer(tensor.producer, part) {
                continue;
            }
            parts[part as usize].inputs.push(id);
            leaves = true;
        }
        if let (Some(made), true) = (made, leaves) {
            parts[made as usize].outputs.push(id);
        }
    }
}

fn placements(
    model: &Model,
    class: usize,
    order: &Order,
    reasons: Vec<Vec<Reason>>,
) -> Vec<Placement> {
    let placements = reasons.into_iter().enumerate().map(|(node, reasons)| {
        let vertex = model.vertex_of[node] as usize;
        let provider = order.owner[vertex] as usize;
        let price = model.prices.nodes[class][node][provider].unwrap_or_default();
        Placement {
            provider: ProviderId::from(provider),
            part: order.part_of[vertex],
            cost_ns: price.ns,
            source: price.source,
            reasons,
        }
    });
    placements.collect()
}
