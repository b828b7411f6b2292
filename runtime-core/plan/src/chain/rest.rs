//! What lies outside all chains: embeddings, heads, what all blocks share.
//!
//! How a chain is best divided depends on where these are, and the other way round. If they are few,
//! chains are divided beside every choice for them, and each is moved alone afterwards.

use remuda_base::Set;

use crate::judge::{misses, score};
use crate::model::Model;
use crate::search::{Allowance, effort};
use crate::state::State;

/// Units outside chains, and units in all, above which only the place that they have is considered.
const MOST_REST: usize = 24;
const MOST_UNITS: usize = 1_000;
/// Choices for them that are tried one by one; with more, all of them go to one provider after another.
const MOST_WAYS: usize = 16;

/// The units outside all chains, unless there are many.
pub(crate) fn rest(model: &Model) -> Vec<usize> {
    let inside: Set<u32> = model.chains.iter().flatten().flatten().copied().collect();
    let all = 0..model.units.len() as u32;
    let rest = all.filter(|unit| !inside.contains(unit)).map(|unit| unit as usize);
    let rest: Vec<usize> = rest.collect();
    let few = rest.len() <= MOST_REST && model.units.len() <= MOST_UNITS;
    if few { rest } else { Vec::new() }
}

/// `state` with the units of `rest` in several places; as it is if there are none.
pub(crate) fn starts<'m>(state: &State<'m>, rest: &[usize]) -> Vec<State<'m>> {
    let model = state.model;
    let options = |unit: usize| model.units[unit].options().collect::<Vec<usize>>();
    let ways = rest.iter().try_fold(1usize, |ways, &unit| ways.checked_mul(options(unit).len()));
    let mut starts = Vec::new();
    if let Some(ways @ ..=MOST_WAYS) = ways {
        for way in 0..ways {
            let mut start = state.clone();
            let mut digits = way;
            for &unit in rest {
                let options = options(unit);
                start.shift(unit, options[digits % options.len()]);
                digits /= options.len();
            }
            starts.push(start);
        }
    } else {
        starts.push(state.clone());
        for provider in 0..model.providers {
            let mut start = state.clone();
            let may = rest.iter().filter(|&&unit| model.units[unit].allows(provider));
            may.for_each(|&unit| start.shift(unit, provider));
            starts.push(start);
        }
    }
    starts
}

/// Moves single units of `rest` to where they are cheaper and fit.
pub(crate) fn settle(state: &mut State<'_>, rest: &[usize], allowance: &mut Allowance) {
    let model = state.model;
    let mut best = score(state, effort(model));
    for &unit in rest {
        for provider in model.units[unit].options() {
            let old = state.owner_of(unit);
            if provider == old {
                continue;
            }
            state.shift(unit, provider);
            allowance.spend(model.judge_work());
            let moved = score(state, effort(model));
            if moved < best && misses(state).is_empty() {
                best = moved;
            } else {
                state.shift(unit, old);
            }
        }
    }
}
