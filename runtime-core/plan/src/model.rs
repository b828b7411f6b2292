//! The problem in the form that the search works on.
//!
//! Nodes that must stay together are one *vertex*; a vertex in one shape class is one *unit*, the
//! thing that gets a provider, except that tied vertices are one unit over all classes. A *flow* is
//! a tensor in one class between different units. Costs are weighted by how often a class runs.

use crate::graph::Graph;
use crate::price::{Price, Prices};

/// Providers per memory, units, flows and budgets, all priced.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) providers: usize,
    /// Which memory each provider works in, numbered from 0.
    pub(crate) domain: Vec<usize>,
    pub(crate) domains: usize,
    /// The provider where graph inputs and outputs lie.
    pub(crate) home: usize,
    pub(crate) fallback: Option<usize>,
    /// Dependencies among vertices, the same in every class.
    pub(crate) graph: Graph,
    /// The nodes of each vertex, in executable order.
    pub(crate) vertex_nodes: Vec<Vec<u32>>,
    pub(crate) vertex_of: Vec<u32>,
    /// The nodes in an executable order.
    pub(crate) node_order: Vec<u32>,
    /// Per class and vertex.
    pub(crate) unit_of: Vec<Vec<u32>>,
    pub(crate) units: Vec<Unit>,
    pub(crate) flows: Vec<Flow>,
    /// Per class and provider: one launch, weighted.
    pub(crate) launch: Vec<Vec<i64>>,
    /// Units that play the same part in equal blocks: moved together first. In order of execution.
    pub(crate) roles: Vec<Vec<u32>>,
    /// The vertices of each block, equal or not, in order of execution.
    pub(crate) blocks: Vec<Vec<u32>>,
    /// Runs of equal blocks: for each block its units.
    pub(crate) chains: Vec<Vec<Vec<u32>>>,
    pub(crate) budgets: Vec<Option<u64>>,
    pub(crate) tensors: Vec<Lifetime>,
    /// Per class: what all tensors would take if they were alive at once.
    pub(crate) all_bytes: Vec<u64>,
    pub(crate) prices: Prices,
}

/// What gets a provider.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// One bit per provider that may have it.
    pub(crate) allowed: u64,
    /// Per provider, weighted; meaningless where not allowed.
    pub(crate) cost: Vec<i64>,
    pub(crate) weights: Vec<u32>,
    /// Bytes of the tensors it makes, summed over classes.
    pub(crate) made_bytes: u64,
    /// Class and vertex of each member.
    pub(crate) members: Vec<(u32, u32)>,
    pub(crate) incoming: Vec<u32>,
    pub(crate) outgoing: Vec<u32>,
}

impl Unit {
    /// Whether `provider` may have it.
    pub(crate) fn allows(&self, provider: usize) -> bool {
        self.allowed >> provider & 1 == 1
    }

    /// The providers that may have it, most preferred first.
    pub(crate) fn options(&self) -> impl Iterator<Item = usize> + use<> {
        let allowed = self.allowed;
        (0..u64::BITS as usize).filter(move |&provider| allowed >> provider & 1 == 1)
    }
}

/// Who makes the tensor of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Unit(u32),
    Home,
}

/// A tensor in one class that passes between units or to or from home.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) class: u32,
    pub(crate) from: From,
    /// Reading units other than the maker, sorted.
    pub(crate) to: Vec<u32>,
    /// It must arrive at home.
    pub(crate) home: bool,
    /// Weighted cost of a copy, at `[provider × domains + domain]`.
    pub(crate) copy: Vec<i64>,
}

/// What the memory plan needs to know of a tensor.
#[derive(Debug, Clone)]
pub(crate) struct Lifetime {
    pub(crate) producer: Option<u32>,
    pub(crate) consumers: Vec<u32>,
    pub(crate) output: bool,
}

impl Model {
    /// The shape classes.
    pub(crate) fn classes(&self) -> usize {
        self.unit_of.len()
    }

    /// What `flow` costs from `from` to the memory `domain`.
    pub(crate) fn copy(&self, flow: &Flow, from: usize, domain: usize) -> i64 {
        flow.copy[from * self.domains + domain]
    }

    /// The owner of each vertex in `class` under an assignment of units.
    pub(crate) fn owners(&self, class: usize, owner: &[u8]) -> Vec<u8> {
        self.unit_of[class].iter().map(|&unit| owner[unit as usize]).collect()
    }

    /// The cheapest way of `bytes` from a provider into a memory.
    pub(crate) fn cheapest_copy(&self, bytes: u64, from: usize, domain: usize) -> Price {
        let there = (0..self.providers).filter(|&to| self.domain[to] == domain);
        let prices = there.map(|to| self.prices.copy(bytes, from, to));
        prices.min_by_key(|price| (price.ns, price.source)).unwrap_or_default()
    }
}
