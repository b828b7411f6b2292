//! Makes an assignment fit the budgets: moves the units that cost least per byte freed.

use std::cmp::Ordering;

use remuda_base::Set;

use crate::judge::{Judged, Over, fixed_need, judge};
use crate::search::{Allowance, effort};
use crate::state::State;
use crate::waves::Effort;

/// Rounds in which only what is missing is moved; later ones move more and more, so that a plan with
/// many small misses is not judged hundreds of times.
const EXACT_ROUNDS: u32 = 4;

/// Moves units off over-full providers until everything fits; the budget that is still missed if it
/// does not get there, or if it would have to move something and `may_move` is false. A unit that
/// left a provider does not come back, so the attempt ends.
pub(crate) fn repair(
    state: &mut State<'_>,
    may_move: bool,
    allowance: &mut Allowance,
) -> Result<Judged, Over> {
    let mut left: Set<(usize, usize)> = Set::new();
    let mut effort = effort(state.model);
    let mut round = 0u32;
    loop {
        round = round.saturating_add(1);
        let judged = judge(state, effort);
        allowance.spend(2 * state.model.judge_work());
        match judged.over {
            Some(over) if !may_move => return Err(over),
            Some(over) => {
                let doublings = round.saturating_sub(EXACT_ROUNDS).min(16);
                relieve(state, over, over.excess().saturating_mul(1 << doublings), &mut left)?;
            }
            None if effort == Effort::Thorough => return Ok(judged),
            None => effort = Effort::Thorough,
        }
    }
}

/// Moves units off the over-full provider until about `missing` bytes are free there.
fn relieve(
    state: &mut State<'_>,
    over: Over,
    mut missing: u64,
    left: &mut Set<(usize, usize)>,
) -> Result<(), Over> {
    let mut moved = false;
    for (unit, to) in exits(state, over.provider, left) {
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
    if moved { Ok(()) } else { Err(over) }
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
