//! Runs cheap nodes again where their results are read, instead of copying the results.
//!
//! Constants, shape arithmetic and dequantisation are often cheaper than a copy. A node may be run
//! again in a part if its provider can have it, its own inputs are alive in that memory when the
//! part begins, and its weights are there already. All parts that read it in one memory run it, so
//! the copy goes away whole.

use remuda_base::Set;

use super::{Schedule, Site};
use crate::ids::{NodeId, ProviderId};
use crate::model::Model;

/// The schedule with repeats where they are cheaper than copies.
pub(super) fn repeat(site: Site<'_, '_>, schedule: Schedule) -> Schedule {
    let model = site.state.model;
    let candidates = candidates(site);
    if candidates.is_empty() {
        return schedule;
    }
    let mut inputs = vec![Vec::new(); model.vertex_of.len()];
    for (tensor, at) in model.tensors.iter().zip(0u32..) {
        for &node in &tensor.consumers {
            inputs[node as usize].push(at);
        }
    }
    let mut repeats = Repeats { site, schedule, inputs, relied_on: Set::new() };
    for (node, tensor) in candidates {
        for domain in 0..model.domains {
            repeats.consider(node, tensor, domain);
        }
    }
    repeats.schedule
}

/// Nodes that may be run again, in executable order, each with the one tensor that it makes.
fn candidates(site: Site<'_, '_>) -> Vec<(u32, u32)> {
    let model = site.state.model;
    let mut made = vec![Vec::new(); model.vertex_of.len()];
    for (tensor, at) in model.tensors.iter().zip(0u32..) {
        if let Some(node) = tensor.producer {
            made[node as usize].push(at);
        }
    }
    let candidates = model.node_order.iter().filter_map(|&node| {
        let alone = model.vertex_nodes[model.vertex_of[node as usize] as usize].len() == 1;
        let pinned = site.permits.pin(NodeId(node)).is_some();
        match made[node as usize][..] {
            [only] if alone && !pinned && site.problem.nodes[node as usize].repeatable => {
                Some((node, only))
            }
            _ => None,
        }
    });
    candidates.collect()
}

struct Repeats<'s, 'm> {
    site: Site<'s, 'm>,
    schedule: Schedule,
    /// Per node, the tensors it reads.
    inputs: Vec<Vec<u32>>,
    /// Tensors that repeats read in a memory: these have to be copied there.
    relied_on: Set<(u32, usize)>,
}

impl<'m> Repeats<'_, 'm> {
    fn model(&self) -> &'m Model {
        self.site.state.model
    }

    /// Runs `node` again in the parts that read `tensor` in `domain`, if that is cheaper.
    fn consider(&mut self, node: u32, tensor: u32, domain: usize) {
        let model = self.model();
        let maker = self.provider(self.part_of(node));
        let readers = self.readers(tensor, domain);
        let leaves = model.tensors[tensor as usize].output && domain == model.domain[model.home];
        let bound = leaves || self.relied_on.contains(&(tensor, domain));
        if domain == model.domain[maker] || readers.is_empty() || bound {
            return;
        }
        let bytes = model.prices.bytes[self.site.class][tensor as usize];
        let copy = model.cheapest_copy(bytes, maker, domain).ns;
        let again = readers.iter().map(|&part| self.cost(node, part)).sum::<Option<u64>>();
        if again.is_none_or(|again| again >= copy) {
            return;
        }
        for part in readers {
            self.schedule.parts[part as usize].repeats.push(NodeId(node));
        }
        self.schedule.remade.insert((tensor, domain));
        for &input in &self.inputs[node as usize] {
            self.relied_on.insert((input, domain));
        }
    }

    fn part_of(&self, node: u32) -> u32 {
        self.schedule.part_of[self.model().vertex_of[node as usize] as usize]
    }

    fn provider(&self, part: u32) -> usize {
        self.schedule.parts[part as usize].provider as usize
    }

    fn memory(&self, part: u32) -> usize {
        self.model().domain[self.provider(part)]
    }

    /// The parts in `domain` that read `tensor`, in order.
    fn readers(&self, tensor: u32, domain: usize) -> Vec<u32> {
        let consumers = &self.model().tensors[tensor as usize].consumers;
        let parts = consumers.iter().map(|&node| self.part_of(node));
        let mut parts: Vec<u32> = parts.filter(|&part| self.memory(part) == domain).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// What `node` costs in `part`; none if it cannot be run again there.
    fn cost(&self, node: u32, part: u32) -> Option<u64> {
        let site = self.site;
        let provider = self.provider(part);
        let id = ProviderId::from(provider);
        let refusal = site.permits.refusal(site.problem, site.class, NodeId(node), id);
        let weights = &site.problem.nodes[node as usize].weights;
        let resident = weights.iter().all(|&weight| site.state.holds(weight.index(), provider));
        if refusal.is_some() || !resident || !self.inputs_there(node, part) {
            return None;
        }
        let price = self.model().prices.nodes[site.class][node as usize][provider]?;
        Some(price.ns)
    }

    /// Whether everything that `node` reads is alive in the memory of `part` when that begins.
    fn inputs_there(&self, node: u32, part: u32) -> bool {
        let memory = self.memory(part);
        self.inputs[node as usize].iter().all(|&input| {
            let readers = self.readers(input, memory);
            let producer = self.model().tensors[input as usize].producer;
            let made = producer.map(|maker| self.part_of(maker));
            let here = made.map_or(self.model().domain[self.model().home], |p| self.memory(p));
            let begins = if here == memory {
                made.is_none_or(|made| made < part)
            } else {
                readers.first().is_some_and(|&first| first <= part)
            };
            let lasts = readers.last().is_some_and(|&last| last >= part);
            begins && lasts && !self.schedule.remade.contains(&(input, memory))
        })
    }
}
