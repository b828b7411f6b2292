//! Which buffer holds which results: those that are not needed at the same time share one.

use remuda_base::Map;

use crate::lower::{Origin, Plan, SpaceId};

/// Buffers to be made, and which of them each space of results has.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) bytes: Vec<u64>,
    pub(super) of: Map<SpaceId, usize>,
}

/// A buffer while spaces are given theirs.
struct Slot {
    bytes: u64,
    /// The last step that needs what it holds.
    until: usize,
}

/// For each space of results the last step that needs it.
fn last_uses(plan: &Plan, kept: &[SpaceId]) -> Map<SpaceId, usize> {
    let mut last = Map::new();
    for (at, step) in plan.steps.iter().enumerate() {
        last.extend(step.bound.iter().map(|bound| (bound.space, at)));
    }
    last.extend(kept.iter().map(|&space| (space, usize::MAX)));
    last
}

/// The free slot that fits best: the smallest that is large enough, else the largest.
fn best(slots: &[Slot], now: usize, bytes: u64) -> Option<usize> {
    let free = || slots.iter().enumerate().filter(|(_, slot)| slot.until < now);
    let large = free().filter(|(_, slot)| slot.bytes >= bytes);
    let found = large.min_by_key(|(_, slot)| slot.bytes);
    found.or_else(|| free().max_by_key(|(_, slot)| slot.bytes)).map(|(at, _)| at)
}

impl Layout {
    /// For a plan whose outputs are in these spaces.
    pub(super) fn of(plan: &Plan, kept: &[SpaceId]) -> Self {
        let last = last_uses(plan, kept);
        let mut slots: Vec<Slot> = Vec::new();
        let mut of = Map::new();
        for (at, step) in plan.steps.iter().enumerate() {
            for bound in &step.bound {
                let space = plan.spaces[bound.space.0];
                if space.origin != Origin::Work || of.contains_key(&bound.space) {
                    continue;
                }
                let until = last.get(&bound.space).copied().unwrap_or(usize::MAX);
                let slot = best(&slots, at, space.bytes).unwrap_or_else(|| {
                    slots.push(Slot { bytes: 0, until });
                    slots.len() - 1
                });
                slots[slot].bytes = slots[slot].bytes.max(space.bytes);
                slots[slot].until = until;
                of.insert(bound.space, slot);
            }
        }
        Self { bytes: slots.into_iter().map(|slot| slot.bytes).collect(), of }
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;
    use crate::lower::{Bound, Origin, Plan, SpaceId, Step};
    use crate::shaders::{Dispatch, Kernel, Launch};

    fn step(bound: &[SpaceId]) -> Step {
        let kernel =
            Kernel { source: String::new(), workgroup: [1; 3], inputs: 0, outputs: bound.len() };
        let launch = Launch { params: Vec::new(), groups: [1; 3] };
        let bound = bound.iter().map(|&space| Bound::whole(space)).collect();
        Step { dispatch: Dispatch { kernel, launch }, bound }
    }

    #[test]
    fn results_share_a_buffer_unless_they_are_needed_together() {
        let mut plan = Plan::default();
        let spaces: Vec<_> = [16, 64, 32, 8].map(|bytes| plan.space(Origin::Work, bytes)).into();
        let [a, b, c, d] = spaces[..] else { panic!("four spaces") };
        plan.steps = vec![step(&[a]), step(&[a, b]), step(&[b, c]), step(&[c, d])];
        let layout = Layout::of(&plan, &[d]);
        assert_ne!(layout.of[&a], layout.of[&b]);
        assert_ne!(layout.of[&b], layout.of[&c]);
        assert_ne!(layout.of[&c], layout.of[&d]);
        assert_eq!(layout.bytes.len(), 2, "{layout:?}");
        let total: u64 = layout.bytes.iter().sum();
        assert_eq!(total, 64 + 32);
    }
}
