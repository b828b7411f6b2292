//! From waves to the order that is executed: what is better and costs nothing.
//!
//! Four steps, each kept only if the budgets still hold: nodes move to later waves where fewer bytes
//! are alive in between ([`late`]); independent pieces of a part become parts of their own where the
//! provider can run them at the same time ([`split`]); parts with the most work behind them go first
//! ([`rank`]); and cheap nodes run again where that is cheaper than copying their result
//! ([`repeat`]). None of them raises the predicted cost.

mod late;
mod rank;
mod repeat;
mod split;

use remuda_base::Set;

use crate::ids::NodeId;
use crate::judge::{may_bind, over_in_order};
use crate::memory::{Lives, Order};
use crate::permit::Permits;
use crate::problem::Problem;
use crate::state::State;
use crate::waves::{Effort, Waves};

/// One part before it is written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) provider: u8,
    pub(crate) wave: u32,
    /// Nodes of other parts that are run again here.
    pub(crate) repeats: Vec<NodeId>,
}

/// Parts in order, and the part of each vertex.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) parts: Vec<Step>,
    /// Per vertex.
    pub(crate) part_of: Vec<u32>,
    /// Tensors that need no copy into a memory, since their readers there make them again.
    remade: Set<(u32, usize)>,
}

/// What the steps work on.
#[derive(Clone, Copy)]
pub(crate) struct Site<'s, 'm> {
    pub(crate) problem: &'s Problem,
    pub(crate) permits: &'s Permits,
    pub(crate) state: &'s State<'m>,
    pub(crate) class: usize,
}

/// The schedule of one class.
pub(crate) fn schedule(site: Site<'_, '_>, waves: &Waves) -> Schedule {
    let model = site.state.model;
    let tight: Vec<usize> = (0..model.providers).filter(|&p| may_bind(site.state, p)).collect();
    let fits = |candidate: &Schedule| {
        let order = candidate.order();
        over_in_order(site.state, site.class, &order, &tight, Effort::Thorough).is_empty()
    };
    let mut best = Schedule::of(waves);
    for step in [late::pull, split::split, rank::order] {
        let candidate = step(site, &best);
        if tight.is_empty() || fits(&candidate) {
            best = candidate;
        }
    }
    repeat::repeat(site, best)
}

impl Schedule {
    /// One part per wave.
    fn of(waves: &Waves) -> Self {
        Self::new(&waves.sequence, waves.wave_of.clone())
    }

    /// One part per wave of `sequence`.
    fn new(sequence: &[u8], part_of: Vec<u32>) -> Self {
        let step = |(&provider, wave)| Step { provider, wave, repeats: Vec::new() };
        let parts = sequence.iter().zip(0..).map(step).collect();
        Self { parts, part_of, remade: Set::new() }
    }

    /// The same parts in another order: `order` names them by their present places.
    fn reordered(&self, order: &[u32]) -> Self {
        let mut place = vec![0; order.len()];
        for (&part, at) in order.iter().zip(0..) {
            place[part as usize] = at;
        }
        Self {
            parts: order.iter().map(|&part| self.parts[part as usize].clone()).collect(),
            part_of: self.part_of.iter().map(|&part| place[part as usize]).collect(),
            remade: self.remade.clone(),
        }
    }

    /// The same as the memory plan sees it.
    pub(crate) fn order(&self) -> Order {
        let owner = |&part: &u32| self.parts[part as usize].provider;
        Order {
            owner: self.part_of.iter().map(owner).collect(),
            part_of: self.part_of.clone(),
            parts: self.parts.len(),
        }
    }

    /// Whether `part` runs `producer` itself instead of reading its result.
    pub(crate) fn repeats_producer(&self, producer: Option<u32>, part: u32) -> bool {
        producer.is_some_and(|node| self.parts[part as usize].repeats.contains(&NodeId(node)))
    }

    /// Takes out the copies that repeats make needless. The buffers stay: the repeat writes there.
    pub(crate) fn without_repeated(&self, lives: &mut Lives, domain: &[usize]) {
        lives.moves.retain(|step| !self.remade.contains(&(step.tensor, domain[step.to])));
    }
}
