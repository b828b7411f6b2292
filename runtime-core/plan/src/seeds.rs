//! Assignments to start from: what other runtimes would do, each made to fit the budgets.
//!
//! The plan is never worse than any of them, so whoever used one of these rules before loses
//! nothing.

use crate::cut::divide;
use crate::fill::{at_rest, fill, resting};
use crate::judge::{fits, fixed_need, over_by_weights};
use crate::model::{Model, Unit};
use crate::plan::Origin;
use crate::search::{Allowance, effort};
use crate::state::State;
use crate::waves::Effort;

/// How often all pairs of providers are divided anew.
const CUT_ROUNDS: usize = 3;

/// The seeds that need no search, most plain first.
pub(crate) fn simple(model: &Model) -> Vec<(Origin, Vec<u8>)> {
    let mut seeds = Vec::new();
    if let Some(fallback) = model.fallback {
        seeds.push((Origin::Fallback, prefer(model, &[fallback])));
    }
    for provider in 0..model.providers {
        let order: Vec<usize> = std::iter::once(provider).chain(model.fallback).collect();
        seeds.push((Origin::Single, prefer(model, &order)));
    }
    seeds.push((Origin::Priority, prefer(model, &[])));
    seeds.push((Origin::PerNode, per_node(model)));
    seeds
}

/// Each unit at the first of `order` that may have it, else at the most preferred.
fn prefer(model: &Model, order: &[usize]) -> Vec<u8> {
    let choice = |unit: &Unit| {
        let wanted = order.iter().copied().find(|&provider| unit.allows(provider));
        wanted.or_else(|| unit.options().next()).unwrap_or(0) as u8
    };
    model.units.iter().map(choice).collect()
}

/// Each unit where it alone is cheapest.
fn per_node(model: &Model) -> Vec<u8> {
    let cheapest = |unit: &Unit| {
        unit.options().min_by_key(|&provider| (unit.cost[provider], provider)).unwrap_or(0) as u8
    };
    model.units.iter().map(cheapest).collect()
}

/// Greedy by priority within the budgets: everything at the first provider that may have it if that fits,
/// else as many whole blocks as fit, or, where there are no blocks, single units.
pub(crate) fn by_priority(model: &Model, allowance: &mut Allowance) -> Vec<u8> {
    // Whoever comes behind the fallback is not asked for whole blocks.
    if model.blocks.is_empty() || model.fallback.is_some_and(|at| at + 1 < model.providers) {
        return unit_by_unit(model);
    }
    let wished = prefer(model, &[]);
    if keeps_budgets(model, &wished, allowance) {
        return wished;
    }
    let in_haste = fill(model, effort(model), allowance);
    if keeps_budgets(model, &in_haste, allowance) {
        return in_haste;
    }
    fill(model, Effort::Thorough, allowance)
}

/// Whether an assignment keeps all budgets, but for that of who has to take what nobody else has room for.
fn keeps_budgets(model: &Model, owner: &[u8], allowance: &mut Allowance) -> bool {
    allowance.spend(model.judge_work());
    fits(&State::new(model, owner.to_vec()), resting(model), Effort::Thorough)
}

/// In order of execution, each unit goes to the first provider that may have it and still has room for
/// its weights.
fn unit_by_unit(model: &Model) -> Vec<u8> {
    let owner = model.units.iter().map(|unit| at_rest(model, unit) as u8).collect();
    let mut state = State::new(model, owner);
    for &vertex in &model.graph.topo {
        for class in 0..model.classes() {
            let unit = model.unit_of[class][vertex as usize] as usize;
            let before = state.owner_of(unit);
            for provider in model.units[unit].options() {
                state.shift(unit, provider);
                if over_by_weights(&state).is_none_or(|over| over.provider != provider) {
                    break;
                }
                state.shift(unit, before);
            }
        }
    }
    state.owner().to_vec()
}

/// From each unit where it alone is cheapest, pairs of providers divide their units anew by minimum
/// cuts until nothing changes. With two providers one cut is enough, and but for launches there is
/// no better assignment.
pub(crate) fn by_cuts(model: &Model, surcharge: bool, allowance: &mut Allowance) -> Vec<u8> {
    let mut state = State::new(model, per_node(model));
    for _ in 0..CUT_ROUNDS {
        let mut changed = false;
        for a in 0..model.providers {
            for b in a + 1..model.providers {
                let Some(division) = divide(&state, (a, b), surcharge, allowance.work) else {
                    return state.owner().to_vec();
                };
                allowance.spend(division.work);
                changed |= !division.moves.is_empty();
                for (unit, provider) in division.moves {
                    state.shift(unit, provider);
                }
            }
        }
        if !changed || model.providers == 2 {
            break;
        }
    }
    state.owner().to_vec()
}

/// Each unit where it alone is cheapest at a price per byte on every provider with a budget. The
/// price is raised until the weights fit, then lowered to the least that still does.
pub(crate) fn by_price(model: &Model) -> Vec<u8> {
    let mut prices = vec![0u64; model.providers];
    let mut owner = per_node(model);
    for provider in (0..model.providers).filter(|&provider| model.budgets[provider].is_some()) {
        let over = |owner: &[u8]| {
            let state = State::new(model, owner.to_vec());
            model.budgets[provider].is_some_and(|budget| fixed_need(&state, provider) > budget)
        };
        if !over(&owner) {
            continue;
        }
        let (mut low, mut high) = (0, DEAREST);
        while high - low > 1 {
            prices[provider] = low + (high - low) / 2;
            if over(&at_prices(model, &prices)) {
                low = prices[provider];
            } else {
                high = prices[provider];
            }
        }
        prices[provider] = high;
        owner = at_prices(model, &prices);
    }
    owner
}

/// The highest price, in nanoseconds per mebibyte: at it a byte costs a second.
const DEAREST: u64 = 1_000_000_000 << 20;

fn at_prices(model: &Model, prices: &[u64]) -> Vec<u8> {
    let choice = |unit: &Unit| {
        let bytes: u64 = unit.weights.iter().map(|&w| model.prices.weights[w as usize]).sum();
        let priced = |provider: usize| {
            let rent = (u128::from(prices[provider]) * u128::from(bytes)) >> 20;
            i128::from(unit.cost[provider]) + i128::try_from(rent).unwrap_or(i128::MAX >> 1)
        };
        unit.options().min_by_key(|&provider| (priced(provider), provider)).unwrap_or(0) as u8
    };
    model.units.iter().map(choice).collect()
}
