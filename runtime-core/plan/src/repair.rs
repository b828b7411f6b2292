//! Makes an assignment fit the budgets: moves the units that cost least per byte freed.

use std::cmp::Ordering;

use remuda_base::Set;

use crate::judge::{Judged, Over, fixed_need, judge};
use crate::state::State;
use crate::waves::Effort;

/// Moves units off over-full providers until everything fits. None if it does not get there: a unit
/// that left a provider does not come back, so the attempt ends.
pub(crate) fn repair(state: &mut State<'_>, effort: Effort) -> Result<Judged, Over> {
    let mut left: Set<(usize, usize)> = Set::new();
    loop {
        let judged = judge(state, effort);
        let Some(over) = judged.over else { return Ok(judged) };
        let mut missing = over.excess();
        let mut moved = false;
        for (unit, to) in exits(state, over.provider, &left) {
            if missing == 0 {
                break;
            }
            if state.owner_of(unit) != over.provider || !has_room(state, unit, to) {
                continue;
            }
            let freed = freed(state, unit, to);
            state.shift(unit, to);
            left.insert((unit, over.provider));
            missing = missing.saturating_sub(freed);
            moved = true;
        }
        if !moved {
            return Err(over);
        }
    }
}

/// Ways off `provider`, cheapest per byte first.
fn exits(state: &State<'_>, provider: usize, left: &Set<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut ways: Vec<(i64, u64, usize, usize)> = Vec::new();
    for (unit, entry) in state.model.units.iter().enumerate() {
        if state.owner_of(unit) != provider {
            continue;
        }
        for to in entry.options().filter(|&to| to != provider && !left.contains(&(unit, to))) {
            let (compute, transfer) = state.delta(unit, to);
            ways.push((compute + transfer, freed(state, unit, to).max(1), unit, to));
        }
    }
    ways.sort_by(|a, b| per_byte(a.0, a.1, b.0, b.1).then((a.2, a.3).cmp(&(b.2, b.3))));
    ways.into_iter().map(|(_, _, unit, to)| (unit, to)).collect()
}

fn per_byte(cost_a: i64, bytes_a: u64, cost_b: i64, bytes_b: u64) -> Ordering {
    let left = i128::from(cost_a) * i128::from(bytes_b);
    left.cmp(&(i128::from(cost_b) * i128::from(bytes_a)))
}

fn freed(state: &State<'_>, unit: usize, to: usize) -> u64 {
    let (freed, _) = state.weight_shift(unit, to);
    freed.saturating_add(state.model.units[unit].made_bytes)
}

fn has_room(state: &State<'_>, unit: usize, to: usize) -> bool {
    let Some(budget) = state.model.budgets[to] else { return true };
    let (_, added) = state.weight_shift(unit, to);
    fixed_need(state, to).saturating_add(added) <= budget
}
