//! The table behind the division of a chain: per block, how often patterns were used, and the last one.
//!
//! Patterns whose number matters to a budget are counted. Of patterns that read what several blocks share,
//! it matters whether they are used at all. Patterns that are alike in both have one count together. What
//! is left is the least cost for each way of counting, from which divisions are taken one by one, the
//! cheapest first. Where the table would be too large, neighbouring blocks are taken together, and blocks
//! at the borders change sides afterwards.

use std::ops::Range;

use remuda_base::{Map, Set};

use super::costs::Costs;
use super::needs::Needs;

/// Entries of the table, and steps between them, that are worked out at most.
const MOST_STEPS: usize = 4_000_000;
/// Counts that only tell whether a pattern is used, at most.
const MOST_FLAGS: usize = 6;

/// How often some patterns are used.
struct Count {
    /// One of them: they are alike as far as it matters.
    pattern: usize,
    /// Bytes of a block, per budget.
    bytes: Vec<u64>,
    /// How far apart neighbouring counts lie in the table, and how many there are.
    stride: usize,
    size: usize,
    /// It only tells whether there are any.
    flag: bool,
}

impl Count {
    fn of(&self, state: usize) -> usize {
        state / self.stride % self.size
    }
}

/// Per group of blocks, counts and last pattern, the least cost so far.
pub(super) struct Table<'c> {
    costs: &'c Costs,
    /// Only the first so many are used.
    patterns: usize,
    /// Blocks taken together.
    group: usize,
    counts: Vec<Count>,
    /// Per pattern, its count.
    count_of: Vec<Option<usize>>,
    states: usize,
    /// Per counts, what copies of what blocks share cost.
    charges: Vec<i64>,
    /// Per counts and last pattern, what the whole chain costs but for that.
    whole: Vec<i64>,
    /// Per group but the first: the pattern before, and whether the count is a new one.
    history: Vec<Vec<u8>>,
    tried: Set<usize>,
}

impl<'c> Table<'c> {
    pub(super) fn solve(costs: &'c Costs, needs: &Needs, patterns: usize) -> Self {
        let mut group = 1;
        loop {
            let (counts, count_of) = counts(costs, needs, patterns, group);
            let states = counts.iter().try_fold(1usize, |all, count| all.checked_mul(count.size));
            let rows = costs.blocks.div_ceil(group);
            let steps = states.and_then(|n| n.checked_mul(rows * patterns * patterns));
            if let (Some(states), Some(..=MOST_STEPS)) = (states, steps) {
                let (charges, whole) = (Vec::new(), Vec::new());
                let (history, tried) = (Vec::new(), Set::new());
                let mut table = Self {
                    costs,
                    patterns,
                    group,
                    counts,
                    count_of,
                    states,
                    charges,
                    whole,
                    history,
                    tried,
                };
                table.fill(&needs.room());
                return table;
            }
            group += 1;
        }
    }

    /// Whether something has to be counted now that was not when the table was made.
    pub(super) fn is_stale(&self, needs: &Needs) -> bool {
        (0..self.patterns).any(|pattern| {
            let counted = self.count_of[pattern].is_some_and(|count| !self.counts[count].flag);
            !counted && needs.binds(pattern)
        })
    }

    /// The pattern of each block in the cheapest sequence that should fit and was not given before.
    pub(super) fn next(&mut self, needs: &Needs) -> Option<Vec<usize>> {
        let room = needs.room();
        let mut best: Option<(i64, usize)> = None;
        for state in (0..self.states).filter(|&state| self.fits(state, &room)) {
            for entry in state * self.patterns..(state + 1) * self.patterns {
                let cost = self.whole[entry];
                if cost < i64::MAX && !self.tried.contains(&entry) {
                    let fresh = (cost + self.charges[state], entry);
                    best = Some(best.map_or(fresh, |known| known.min(fresh)));
                }
            }
        }
        let (_, entry) = best?;
        self.tried.insert(entry);
        let mut sequence = self.trace(entry);
        if self.group > 1 {
            self.move_borders(&mut sequence, needs);
        }
        Some(sequence)
    }

    fn charges(&self) -> Vec<i64> {
        let mut known = Map::new();
        let charge = |state: usize| {
            let used = self.counts.iter().filter(|count| count.of(state) > 0);
            let used: Vec<usize> = used.map(|count| count.pattern).collect();
            *known.entry(used).or_insert_with_key(|used| self.costs.charge(used))
        };
        (0..self.states).map(charge).collect()
    }

    /// Whether the counts of `state` fit together.
    fn fits(&self, state: usize, room: &[u64]) -> bool {
        room.iter().enumerate().all(|(budget, &room)| {
            let used = self.counts.iter().map(|count| {
                let blocks = if count.flag { 0 } else { count.of(state) * self.group };
                count.bytes[budget].saturating_mul(blocks as u64)
            });
            used.fold(0, u64::saturating_add) <= room
        })
    }

    fn range(&self, group: usize) -> Range<usize> {
        let start = group * self.group;
        start..(start + self.group).min(self.costs.blocks)
    }

    /// What a group costs if all its blocks have `pattern`.
    fn own(&self, group: usize, pattern: usize) -> i64 {
        let range = self.range(group);
        let inner = range.start..range.end - 1;
        let own: i64 = range.map(|block| self.costs.own[block][pattern]).sum();
        own + inner.map(|block| self.costs.step[block][pattern][pattern]).sum::<i64>()
    }

    fn fill(&mut self, room: &[u64]) {
        let patterns = self.patterns;
        let fits: Vec<bool> = (0..self.states).map(|state| self.fits(state, room)).collect();
        let mut cost = vec![i64::MAX; self.states * patterns];
        for pattern in 0..patterns {
            if let Some((state, _)) = self.after(0, pattern, &fits) {
                cost[state * patterns + pattern] = self.own(0, pattern);
            }
        }
        for group in 1..self.costs.blocks.div_ceil(self.group) {
            let (next, came) = self.extend(group, &cost, &fits);
            cost = next;
            self.history.push(came);
        }
        self.whole = cost;
        self.charges = self.charges();
    }

    /// The counts after one more group with `pattern`, and whether they are others; none if that does
    /// not fit.
    fn after(&self, state: usize, pattern: usize, fits: &[bool]) -> Option<(usize, bool)> {
        let Some(at) = self.count_of[pattern] else { return Some((state, false)) };
        let count = &self.counts[at];
        if count.of(state) + 1 < count.size {
            let next = state + count.stride;
            return fits[next].then_some((next, true));
        }
        count.flag.then_some((state, false))
    }

    /// One more group: the new costs, and per entry where it came from.
    fn extend(&self, group: usize, cost: &[i64], fits: &[bool]) -> (Vec<i64>, Vec<u8>) {
        let patterns = self.patterns;
        let mut next = vec![i64::MAX; cost.len()];
        let mut came = vec![0u8; cost.len()];
        let own: Vec<i64> = (0..patterns).map(|p| self.own(group, p)).collect();
        let step = &self.costs.step[self.range(group).start - 1];
        for state in 0..self.states {
            let so_far = &cost[state * patterns..(state + 1) * patterns];
            if so_far.iter().all(|&cost| cost == i64::MAX) {
                continue;
            }
            for pattern in 0..patterns {
                let Some((to, fresh)) = self.after(state, pattern, fits) else { continue };
                let entry = to * patterns + pattern;
                for (before, &so_far) in so_far.iter().enumerate() {
                    if so_far == i64::MAX {
                        continue;
                    }
                    let total = so_far + step[before][pattern] + own[pattern];
                    if total < next[entry] {
                        (next[entry], came[entry]) = (total, before as u8 * 2 + u8::from(fresh));
                    }
                }
            }
        }
        (next, came)
    }

    /// The pattern of each block on the way to `entry`.
    fn trace(&self, mut entry: usize) -> Vec<usize> {
        let patterns = self.patterns;
        let mut sequence = Vec::new();
        for group in (0..self.costs.blocks.div_ceil(self.group)).rev() {
            let pattern = entry % patterns;
            sequence.extend(self.range(group).map(|_| pattern));
            let Some(came) = group.checked_sub(1).map(|at| self.history[at][entry]) else { break };
            let count = self.count_of[pattern].filter(|_| came % 2 == 1);
            let stride = count.map_or(0, |at| self.counts[at].stride);
            entry = (entry / patterns - stride) * patterns + usize::from(came / 2);
        }
        sequence.reverse();
        sequence
    }

    /// Gives single blocks the pattern of a neighbour where that is cheaper and fits.
    fn move_borders(&self, sequence: &mut [usize], needs: &Needs) {
        let mut better = true;
        while std::mem::take(&mut better) {
            for block in 0..sequence.len() {
                let before = block.checked_sub(1).map(|at| sequence[at]);
                let after = sequence.get(block + 1).copied();
                let old = sequence[block];
                for pattern in before.into_iter().chain(after) {
                    let cost = |pattern| self.costs.beside(block, pattern, before, after);
                    if cost(pattern) >= cost(sequence[block]) {
                        continue;
                    }
                    let known = std::mem::replace(&mut sequence[block], pattern);
                    if !needs.fit(sequence) {
                        sequence[block] = known;
                    }
                }
                better |= sequence[block] != old;
            }
        }
    }
}

/// What is counted if so many blocks are taken together, and per pattern its count.
fn counts(
    costs: &Costs,
    needs: &Needs,
    patterns: usize,
    group: usize,
) -> (Vec<Count>, Vec<Option<usize>>) {
    let room = needs.room();
    let mut counts: Vec<Count> = Vec::new();
    let mut known: Map<(bool, Vec<u64>, Vec<u64>), usize> = Map::new();
    let mut stride = 1usize;
    let mut count_of = vec![None; patterns];
    for (pattern, count_of) in count_of.iter_mut().enumerate() {
        let (bytes, flag) = (needs.of(pattern), !needs.binds(pattern));
        let flags = counts.iter().filter(|count| count.flag).count();
        if flag && (costs.charge(&[pattern]) == 0 || flags == MOST_FLAGS) {
            continue;
        }
        let alike = (flag, bytes.clone(), costs.read(pattern));
        let at = *known.entry(alike).or_insert_with(|| {
            let size = if flag { 2 } else { most(&bytes, &room, costs.blocks) / group + 1 };
            counts.push(Count { pattern, bytes, stride, size, flag });
            // Where this is too much, so is the table, which is not made then.
            stride = stride.saturating_mul(size);
            counts.len() - 1
        });
        *count_of = Some(at);
    }
    (counts, count_of)
}

/// How many blocks of so many bytes fit if there is nothing else.
fn most(bytes: &[u64], room: &[u64], blocks: usize) -> usize {
    let fit = bytes.iter().zip(room).filter_map(|(bytes, room)| room.checked_div(*bytes));
    fit.min().map_or(blocks, |most| usize::try_from(most).unwrap_or(blocks).min(blocks))
}
