//! The best division of a chain of equal blocks, by dynamic programming.
//!
//! A language model is some dozens of equal layers in a row. For each block a few *patterns* are
//! considered: all of it on one provider, with the fallback for what that provider cannot have, and
//! whatever patterns other candidates use. What a pattern costs depends on the block alone, what a
//! change of pattern costs depends on the two neighbours alone, and what comes from outside is copied
//! once for all blocks that read it in a memory. So the best sequence is found block by block, for
//! every count of blocks per pattern ([`table`]).
//!
//! Equal blocks weigh the same, which makes memory a count of blocks. What else a provider needs (buffers,
//! weights that blocks share) is seen where a division is tried: the cheapest that should fit is laid out,
//! and if it does not fit what it lacked counts for all others ([`needs`]).

mod costs;
mod needs;
mod rest;
mod table;

use costs::Costs;
use needs::{Besides, Needs};
use remuda_base::Map;
pub(crate) use rest::{rest, settle, starts};
use table::Table;

use crate::judge::{misses, score};
use crate::model::Model;
use crate::search::{Allowance, FEW_UNITS, effort};
use crate::state::State;

/// Patterns that are considered at most.
const MOST_PATTERNS: usize = 6;
/// Divisions of small models that are laid out at most, whatever was seen to be needed besides blocks.
const FRESH_TRIES: usize = 256;
/// Divisions that are laid out at most, per provider, with what was seen in mind.
const TRIES: usize = 2;

/// A provider for each unit of a block.
type Pattern = Vec<u8>;

/// The best division of `chain` that fits, with everything outside it as in `state`; none if none is
/// found. The patterns of `seen` assignments are considered as well, but after whole blocks: many patterns
/// make the table coarse.
pub(crate) fn divide<'m>(
    state: &State<'m>,
    chain: &[Vec<u32>],
    seen: &[&[u8]],
    allowance: &mut Allowance,
) -> Option<State<'m>> {
    let mut patterns = whole(state.model, chain);
    let plain = patterns.len();
    add_seen(&mut patterns, chain, seen, MOST_PATTERNS.max(state.model.providers));
    let mut divider = Divider {
        state,
        chain,
        patterns: &patterns,
        costs: Costs::new(state, chain, &patterns),
        needs: Needs::new(state, chain, &patterns),
    };
    let by_blocks = divider.best(plain, allowance);
    let mixed = if patterns.len() > plain { divider.best(patterns.len(), allowance) } else { None };
    let cost = |state: &State<'_>| score(state, effort(state.model));
    by_blocks.into_iter().chain(mixed).min_by_key(cost)
}

struct Divider<'s, 'm> {
    state: &'s State<'m>,
    chain: &'s [Vec<u32>],
    patterns: &'s [Pattern],
    costs: Costs,
    needs: Needs,
}

impl<'m> Divider<'_, 'm> {
    /// The cheapest division into so many of the patterns that fits when it is laid out.
    fn best(&mut self, patterns: usize, allowance: &mut Allowance) -> Option<State<'m>> {
        let model = self.state.model;
        let mut table = Table::solve(&self.costs, &self.needs, patterns);
        let fresh = if model.units.len() <= FEW_UNITS { FRESH_TRIES } else { 0 };
        let tries = TRIES * model.providers;
        for (besides, tries) in
            [(Besides::Nothing, fresh), (Besides::Least, tries), (Besides::Most, tries)]
        {
            self.needs.besides = besides;
            for _ in 0..tries {
                if table.is_stale(&self.needs) {
                    table = Table::solve(&self.costs, &self.needs, patterns);
                }
                let Some(sequence) = table.next(&self.needs) else { break };
                let divided = divided(self.state, self.chain, self.patterns, &sequence);
                allowance.spend(model.judge_work());
                let overs = misses(&divided);
                if overs.is_empty() {
                    return Some(divided);
                }
                overs.iter().for_each(|over| self.needs.learn(over, &sequence));
            }
        }
        None
    }
}

/// `state` with these patterns in the chain.
fn divided<'m>(
    state: &State<'m>,
    chain: &[Vec<u32>],
    patterns: &[Pattern],
    sequence: &[usize],
) -> State<'m> {
    let mut owner = state.owner().to_vec();
    for (block, &pattern) in chain.iter().zip(sequence) {
        for (&unit, &provider) in block.iter().zip(&patterns[pattern]) {
            owner[unit as usize] = provider;
        }
    }
    State::new(state.model, owner)
}

/// One pattern per provider: all of a block that it can have.
fn whole(model: &Model, chain: &[Vec<u32>]) -> Vec<Pattern> {
    let mut patterns: Vec<Pattern> = Vec::new();
    for provider in 0..model.providers {
        let pattern = chain[0].iter().map(|&unit| {
            let entry = &model.units[unit as usize];
            let wanted = [Some(provider), model.fallback].into_iter().flatten();
            let mut wanted = wanted.filter(|&provider| entry.allows(provider));
            wanted.next().or_else(|| entry.options().next()).unwrap_or(0) as u8
        });
        let pattern: Pattern = pattern.collect();
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

/// Adds the patterns that `seen` assignments use most, up to `most` in all.
fn add_seen(patterns: &mut Vec<Pattern>, chain: &[Vec<u32>], seen: &[&[u8]], most: usize) {
    let mut uses: Map<Pattern, usize> = Map::new();
    for owner in seen {
        for block in chain {
            let pattern = block.iter().map(|&unit| owner[unit as usize]).collect();
            *uses.entry(pattern).or_default() += 1;
        }
    }
    uses.retain(|pattern, _| !patterns.contains(pattern));
    let mut used: Vec<(usize, Pattern)> = uses.into_iter().map(|(p, n)| (n, p)).collect();
    used.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    patterns.extend(used.into_iter().map(|(_, pattern)| pattern));
    patterns.truncate(most);
}
