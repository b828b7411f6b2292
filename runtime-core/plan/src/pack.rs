//! Puts buffers with known lifetimes into one block of memory.
//!
//! Two buffers may share bytes if they are never alive together. Finding the least block is hard in
//! general; two simple orders are tried and the smaller block is kept: by size (large buffers find
//! their place while there is room), and by start (what was freed is used again at once).

/// A buffer: its size, and the first and last step at which it is alive, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The size.
    pub bytes: u64,
    /// The first step.
    pub first: u32,
    /// The last step.
    pub last: u32,
}

/// Where each buffer lies, and how large the block is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packing {
    /// Per interval, a multiple of the alignment.
    pub offsets: Vec<u64>,
    /// One past the last byte in use.
    pub peak_bytes: u64,
}

/// Packs `intervals`; every offset is a multiple of `align`. Deterministic, with time quadratic in
/// the number of buffers alive together.
///
/// ```
/// use remuda_plan::{Interval, pack};
/// let a = Interval { bytes: 100, first: 0, last: 1 };
/// let b = Interval { bytes: 100, first: 2, last: 3 };
/// let packing = pack(&[a, b], 64);
/// assert_eq!((packing.offsets, packing.peak_bytes), (vec![0, 0], 128));
/// ```
#[must_use]
pub fn pack(intervals: &[Interval], align: u64) -> Packing {
    let align = align.max(1);
    let mut by_start: Vec<usize> = (0..intervals.len()).collect();
    by_start.sort_by_key(|&at| (intervals[at].first, std::cmp::Reverse(intervals[at].bytes), at));
    let lower = peak_alive(intervals, align);
    let first = place(intervals, &by_start, align);
    if first.peak_bytes == lower || intervals.len() > MANY {
        return first;
    }
    let mut by_size: Vec<usize> = (0..intervals.len()).collect();
    by_size.sort_by_key(|&at| (std::cmp::Reverse(intervals[at].bytes), intervals[at].first, at));
    let second = place(intervals, &by_size, align);
    if second.peak_bytes < first.peak_bytes { second } else { first }
}

/// Above this the order by size, which has to compare with every placed buffer, is left out.
const MANY: usize = 4_096;

/// The most bytes alive at one step: no packing is smaller.
#[must_use]
pub fn peak_alive(intervals: &[Interval], align: u64) -> u64 {
    let align = align.max(1);
    let last = |interval: &Interval| interval.last.max(interval.first) as usize;
    let steps = intervals.iter().map(last).max().map_or(0, |last| last + 1);
    if steps > DENSE * intervals.len() {
        return peak_sparse(intervals, align);
    }
    let mut changes = vec![(0u64, 0u64); steps + 1];
    for interval in intervals {
        let bytes = round_up(interval.bytes, align);
        let (starts, ends) = (interval.first as usize, last(interval) + 1);
        changes[starts].0 = changes[starts].0.saturating_add(bytes);
        changes[ends].1 = changes[ends].1.saturating_add(bytes);
    }
    peak(changes.into_iter())
}

/// With more steps than this per buffer, steps at which nothing happens are left out.
const DENSE: usize = 64;

fn peak_sparse(intervals: &[Interval], align: u64) -> u64 {
    let mut changes: remuda_base::Map<u64, (u64, u64)> = remuda_base::Map::new();
    for interval in intervals {
        let bytes = round_up(interval.bytes, align);
        let starts = changes.entry(interval.first.into()).or_default();
        starts.0 = starts.0.saturating_add(bytes);
        let ends = changes.entry(u64::from(interval.last.max(interval.first)) + 1).or_default();
        ends.1 = ends.1.saturating_add(bytes);
    }
    peak(changes.into_values())
}

/// The highest level that bytes coming alive and dying, step by step, lead to.
fn peak(changes: impl Iterator<Item = (u64, u64)>) -> u64 {
    let (mut alive, mut peak) = (0u64, 0);
    for (born, dead) in changes {
        alive = alive.saturating_sub(dead).saturating_add(born);
        peak = peak.max(alive);
    }
    peak
}

fn round_up(bytes: u64, align: u64) -> u64 {
    bytes.div_ceil(align).saturating_mul(align)
}

/// Puts each buffer, in the given order, into the lowest gap among those it must not touch.
fn place(intervals: &[Interval], order: &[usize], align: u64) -> Packing {
    let mut offsets = vec![0; intervals.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut peak_bytes = 0;
    let rising = order.is_sorted_by_key(|&at| intervals[at].first);
    for &at in order {
        let mine = intervals[at];
        if rising {
            placed.retain(|&other| intervals[other].last >= mine.first);
        }
        let bytes = round_up(mine.bytes, align);
        let mut offset = 0u64;
        for &other in &placed {
            let theirs = intervals[other];
            if theirs.first > mine.last || mine.first > theirs.last {
                continue;
            }
            if offsets[other] >= offset.saturating_add(bytes) {
                break;
            }
            offset = offset.max(offsets[other].saturating_add(round_up(theirs.bytes, align)));
        }
        offsets[at] = offset;
        peak_bytes = peak_bytes.max(offset.saturating_add(bytes));
        let slot = placed.partition_point(|&other| (offsets[other], other) < (offset, at));
        placed.insert(slot, at);
    }
    Packing { offsets, peak_bytes }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Interval, pack, peak_alive};

    fn intervals() -> impl Strategy<Value = Vec<Interval>> {
        let one = (0u64..1_000, 0u32..40, 0u32..12);
        let one =
            one.prop_map(|(bytes, first, more)| Interval { bytes, first, last: first + more });
        proptest::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn buffers_alive_together_share_no_byte(list in intervals(), align in 1u64..70) {
            let packing = pack(&list, align);
            for (i, a) in list.iter().enumerate() {
                prop_assert_eq!(packing.offsets[i] % align, 0);
                prop_assert!(packing.offsets[i] + a.bytes <= packing.peak_bytes);
                for (j, b) in list.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = packing.offsets[i] + a.bytes <= packing.offsets[j]
                        || packing.offsets[j] + b.bytes <= packing.offsets[i];
                    prop_assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
                }
            }
            let at = |step: u32| list.iter().filter(move |i| i.first <= step && step <= i.last);
            let alive = |step| at(step).map(|i| i.bytes.div_ceil(align) * align).sum::<u64>();
            prop_assert_eq!(peak_alive(&list, align), (0..52).map(alive).max().unwrap());
            prop_assert_eq!(super::peak_sparse(&list, align), peak_alive(&list, align));
            prop_assert!(packing.peak_bytes >= peak_alive(&list, align));
        }
    }

    #[test]
    fn a_chain_needs_two_buffers_only() {
        let list: Vec<_> =
            (0..100).map(|at| Interval { bytes: 64, first: at, last: at + 1 }).collect();
        assert_eq!(pack(&list, 64).peak_bytes, 128);
    }

    #[test]
    fn absurd_sizes_saturate() {
        let huge = Interval { bytes: u64::MAX, first: 0, last: 0 };
        assert!(pack(&[huge, huge], 64).peak_bytes > u64::MAX / 2);
    }
}
