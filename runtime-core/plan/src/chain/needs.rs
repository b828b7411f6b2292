//! What the blocks of a chain need of each budget, and what else has to fit beside them.

use remuda_base::Map;

use super::Pattern;
use crate::judge::Over;
use crate::model::Model;
use crate::state::State;

/// What is set aside for all that is no block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Besides {
    Nothing,
    /// The least that was seen to be needed.
    Least,
    /// The most that was seen to be needed.
    Most,
}

/// Bytes of blocks, and the room for them.
pub(super) struct Needs {
    pub(super) besides: Besides,
    blocks: u64,
    budgets: Vec<Budget>,
}

struct Budget {
    provider: usize,
    bytes: u64,
    /// What is needed there without the chain.
    outside: u64,
    /// Bytes of one block by pattern; on average, if the blocks' weights differ.
    block: Vec<u64>,
    /// The least and the most that was seen to be needed besides.
    seen: Option<(u64, u64)>,
}

impl Needs {
    pub(super) fn new(state: &State<'_>, chain: &[Vec<u32>], patterns: &[Pattern]) -> Self {
        let model = state.model;
        let own = own_weights(model, chain);
        let mut outside = state.clone();
        let budgets = (0..model.providers).filter_map(|provider| {
            let bytes = model.budgets[provider]?;
            for &unit in chain.iter().flatten() {
                outside.shift(unit as usize, (provider + 1) % model.providers);
            }
            let resident = outside.resident(provider);
            let of_chain = |pattern| bytes_of_chain(model, chain, &own, pattern, provider);
            let per_block = |bytes: u64| bytes.div_ceil(chain.len().max(1) as u64);
            Some(Budget {
                provider,
                bytes,
                outside: resident.saturating_add(model.prices.workspace[provider]),
                block: patterns.iter().map(|pattern| per_block(of_chain(pattern))).collect(),
                seen: None,
            })
        });
        let budgets = budgets.collect();
        Self { besides: Besides::Nothing, blocks: chain.len() as u64, budgets }
    }

    /// Bytes of a block with `pattern`, per budget.
    pub(super) fn of(&self, pattern: usize) -> Vec<u64> {
        self.budgets.iter().map(|budget| budget.block[pattern]).collect()
    }

    /// Bytes left for blocks, per budget.
    pub(super) fn room(&self) -> Vec<u64> {
        self.budgets.iter().map(|budget| budget.room(self.besides)).collect()
    }

    /// Whether how often `pattern` is used can matter to some budget.
    pub(super) fn binds(&self, pattern: usize) -> bool {
        self.budgets.iter().any(|budget| {
            let most = budget.block.iter().copied().max().unwrap_or(0);
            let room = budget.room(Besides::Most);
            budget.block[pattern] > 0 && most.saturating_mul(self.blocks) > room
        })
    }

    /// Whether blocks with these patterns should fit.
    pub(super) fn fit(&self, sequence: &[usize]) -> bool {
        self.budgets.iter().all(|budget| budget.of(sequence) <= budget.room(self.besides))
    }

    /// Takes from a budget that this division misses what is needed besides the blocks.
    pub(super) fn learn(&mut self, over: &Over, sequence: &[usize]) {
        let Some(budget) = self.budgets.iter_mut().find(|b| b.provider == over.provider) else {
            return;
        };
        let blocks = budget.outside.saturating_add(budget.of(sequence));
        let more = over.needed.saturating_sub(blocks);
        let (least, most) = budget.seen.unwrap_or((more, more));
        budget.seen = Some((least.min(more), most.max(more)));
    }
}

impl Budget {
    fn room(&self, besides: Besides) -> u64 {
        let (least, most) = self.seen.unwrap_or_default();
        let besides = match besides {
            Besides::Nothing => 0,
            Besides::Least => least,
            Besides::Most => most,
        };
        self.bytes.saturating_sub(self.outside).saturating_sub(besides)
    }

    fn of(&self, sequence: &[usize]) -> u64 {
        sequence.iter().fold(0, |all, &pattern| all.saturating_add(self.block[pattern]))
    }
}

/// The weights of the chain, each with the block that has it for itself; none where several share it.
fn own_weights(model: &Model, chain: &[Vec<u32>]) -> Map<u32, Option<usize>> {
    let mut own: Map<u32, Option<usize>> = Map::new();
    for (at, block) in chain.iter().enumerate() {
        for &weight in block.iter().flat_map(|&unit| &model.units[unit as usize].weights) {
            let owner = own.entry(weight).or_insert(Some(at));
            *owner = owner.filter(|&other| other == at);
        }
    }
    own
}

/// The bytes of all blocks on `provider` if all have `pattern`, without weights that blocks share.
fn bytes_of_chain(
    model: &Model,
    chain: &[Vec<u32>],
    own: &Map<u32, Option<usize>>,
    pattern: &Pattern,
    provider: usize,
) -> u64 {
    let units = chain.iter().flat_map(|block| block.iter().zip(pattern));
    let mine = units.filter(|(_, p)| **p as usize == provider);
    let mut weights: Vec<u32> =
        mine.flat_map(|(&unit, _)| model.units[unit as usize].weights.iter().copied()).collect();
    weights.retain(|weight| own.get(weight).is_some_and(Option::is_some));
    weights.sort_unstable();
    weights.dedup();
    let bytes = weights.into_iter().map(|weight| model.prices.weights[weight as usize]);
    bytes.fold(0, u64::saturating_add)
}
