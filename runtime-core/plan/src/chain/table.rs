//! The table behind the division of a chain: per block, counts of patterns and the last one.

use remuda_base::Set;

use super::{Costs, Pattern};
use crate::model::Model;

/// Entries of the table, and steps between them, that are worked out at most.
const MOST_STEPS: usize = 2_000_000;

/// Which patterns are counted, and how often each may be used.
pub(super) struct Limits {
    /// Blocks taken together.
    group: usize,
    /// Bytes of one block on average, per pattern and provider with a budget.
    bytes: Vec<Vec<u64>>,
    room: Vec<u64>,
}

impl Limits {
    pub(super) fn new(
        model: &Model,
        chain: &[Vec<u32>],
        patterns: &[Pattern],
        room: &[Option<u64>],
    ) -> Self {
        let tight: Vec<usize> = (0..model.providers).filter(|&p| room[p].is_some()).collect();
        let of_block = |block: &[u32], pattern: &Pattern, provider: usize| {
            let mine = block.iter().zip(pattern).filter(|(_, p)| **p as usize == provider);
            let weights: Set<u32> = mine
                .flat_map(|(&unit, _)| model.units[unit as usize].weights.iter().copied())
                .collect();
            weights.into_iter().map(|w| model.prices.weights[w as usize]).sum::<u64>()
        };
        let bytes = patterns.iter().map(|pattern| {
            let on = |provider: usize| {
                let all = chain.iter().map(|block| of_block(block, pattern, provider));
                all.fold(0, u64::saturating_add).div_ceil(chain.len().max(1) as u64)
            };
            tight.iter().map(|&provider| on(provider)).collect()
        });
        let bytes = bytes.collect();
        let room = tight.iter().filter_map(|&provider| room[provider]).collect();
        Self { group: 1, bytes, room }
    }

    /// Whether how often `pattern` is used can matter to some budget.
    fn counts(&self, pattern: usize, blocks: usize) -> bool {
        (0..self.room.len()).any(|tight| {
            let most = self.bytes.iter().map(|bytes| bytes[tight]).max().unwrap_or(0);
            self.bytes[pattern][tight] > 0 && most.saturating_mul(blocks as u64) > self.room[tight]
        })
    }

    /// How many blocks of `pattern` fit if there is nothing else.
    fn most(&self, pattern: usize, blocks: usize) -> usize {
        let fits = self.bytes[pattern]
            .iter()
            .zip(&self.room)
            .map(|(&bytes, &room)| room.checked_div(bytes).map_or(blocks, |count| count as usize));
        fits.min().unwrap_or(blocks).min(blocks)
    }

    /// The pattern of each block in the cheapest sequence that fits.
    pub(super) fn best(
        mut self,
        costs: &Costs,
        blocks: usize,
        patterns: usize,
    ) -> Option<Vec<usize>> {
        let counted: Vec<usize> = (0..patterns).filter(|&p| self.counts(p, blocks)).collect();
        loop {
            let sizes: Vec<usize> =
                counted.iter().map(|&p| self.most(p, blocks) / self.group + 1).collect();
            let states = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
            let rows = blocks.div_ceil(self.group);
            let steps = states.and_then(|n| n.checked_mul(rows * patterns * patterns));
            if steps.is_some_and(|steps| steps <= MOST_STEPS) {
                return Table::new(&self, costs, blocks, patterns, &counted, sizes).solve();
            }
            self.group += 1;
        }
    }
}

/// The table: per group of blocks, counts and last pattern, the least cost so far.
struct Table<'l> {
    limits: &'l Limits,
    costs: &'l Costs,
    groups: Vec<std::ops::Range<usize>>,
    patterns: usize,
    counted: Vec<Option<usize>>,
    /// Per counted pattern: how far apart neighbouring counts lie, and how many there are.
    strides: Vec<(usize, usize)>,
    states: usize,
}

impl<'l> Table<'l> {
    fn new(
        limits: &'l Limits,
        costs: &'l Costs,
        blocks: usize,
        patterns: usize,
        counted: &[usize],
        sizes: Vec<usize>,
    ) -> Self {
        let mut strides = Vec::new();
        let mut states = 1;
        for size in sizes {
            strides.push((states, size));
            states *= size;
        }
        let groups = (0..blocks).step_by(limits.group);
        let groups = groups.map(|start| start..(start + limits.group).min(blocks)).collect();
        let counted = (0..patterns).map(|p| counted.iter().position(|&c| c == p)).collect();
        Self { limits, costs, groups, patterns, counted, strides, states }
    }

    /// The state after one more group with `pattern`; none if it does not fit.
    fn after(&self, state: usize, pattern: usize) -> Option<usize> {
        let Some(at) = self.counted[pattern] else { return Some(state) };
        let (stride, size) = self.strides[at];
        if (state / stride) % size + 1 >= size {
            return None;
        }
        let next = state + stride;
        self.fits(next).then_some(next)
    }

    /// Whether the counts of `state` fit together.
    fn fits(&self, state: usize) -> bool {
        (0..self.limits.room.len()).all(|tight| {
            let used = (0..self.patterns).filter_map(|pattern| {
                let (stride, size) = self.strides[self.counted[pattern]?];
                let blocks = ((state / stride) % size * self.limits.group) as u64;
                Some(self.limits.bytes[pattern][tight].saturating_mul(blocks))
            });
            used.fold(0, u64::saturating_add) <= self.limits.room[tight]
        })
    }

    /// What a group costs if all its blocks have `pattern`.
    fn group(&self, group: usize, pattern: usize) -> i64 {
        let range = self.groups[group].clone();
        let inner = range.start..range.end - 1;
        let own: i64 = range.map(|block| self.costs.own[block][pattern]).sum();
        own + inner.map(|block| self.costs.step[block][pattern][pattern]).sum::<i64>()
    }

    fn solve(&self) -> Option<Vec<usize>> {
        let width = self.states * self.patterns;
        let mut cost = vec![i64::MAX; width];
        for pattern in 0..self.patterns {
            if let Some(state) = self.after(0, pattern) {
                cost[state * self.patterns + pattern] = self.group(0, pattern);
            }
        }
        let mut history: Vec<Vec<u8>> = Vec::new();
        for group in 1..self.groups.len() {
            let (next, came) = self.extend(group, &cost);
            cost = next;
            history.push(came);
        }
        let best = (0..width).min_by_key(|&entry| (cost[entry], entry))?;
        if cost[best] == i64::MAX {
            return None;
        }
        Some(self.trace(best, &history))
    }

    /// One more group: the new costs, and per entry the pattern before.
    fn extend(&self, group: usize, cost: &[i64]) -> (Vec<i64>, Vec<u8>) {
        let mut next = vec![i64::MAX; cost.len()];
        let mut came = vec![0u8; cost.len()];
        let own: Vec<i64> = (0..self.patterns).map(|p| self.group(group, p)).collect();
        let step = &self.costs.step[self.groups[group].start - 1];
        for state in 0..self.states {
            for pattern in 0..self.patterns {
                let Some(to) = self.after(state, pattern) else { continue };
                let entry = to * self.patterns + pattern;
                for before in 0..self.patterns {
                    let so_far = cost[state * self.patterns + before];
                    if so_far == i64::MAX {
                        continue;
                    }
                    let total = so_far + step[before][pattern] + own[pattern];
                    if total < next[entry] {
                        (next[entry], came[entry]) = (total, before as u8);
                    }
                }
            }
        }
        (next, came)
    }

    /// The pattern of each block on the way to `entry`.
    fn trace(&self, mut entry: usize, history: &[Vec<u8>]) -> Vec<usize> {
        let mut choice = Vec::new();
        for group in (0..self.groups.len()).rev() {
            let pattern = entry % self.patterns;
            choice.extend(self.groups[group].clone().map(|_| pattern));
            let Some(came) = group.checked_sub(1).map(|at| &history[at]) else { break };
            let state = entry / self.patterns;
            let stride = self.counted[pattern].map_or(0, |at| self.strides[at].0);
            entry = (state - stride) * self.patterns + came[entry] as usize;
        }
        choice.reverse();
        choice
    }
}
