//! The parts of one class in order of execution.

use crate::ids::NodeId;
use crate::memory::{Lives, Order};
use crate::waves::Waves;

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
}

impl Schedule {
    /// One part per wave.
    pub(crate) fn of(waves: &Waves) -> Self {
        let step = |(&provider, wave)| Step { provider, wave, repeats: Vec::new() };
        Self {
            parts: waves.sequence.iter().zip(0..).map(step).collect(),
            part_of: waves.wave_of.clone(),
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

    /// Takes out the copies that repeats make needless.
    #[expect(clippy::unused_self, reason = "repeats are added by a later step")]
    pub(crate) fn without_repeated(&self, _lives: &mut Lives) {}
}
