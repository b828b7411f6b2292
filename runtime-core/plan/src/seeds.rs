//! Assignments to start from: what other runtimes would do, each made to fit the budgets.
//!
//! The plan is never worse than any of them, so whoever used one of these rules before loses
//! nothing.

use crate::judge::over_by_weights;
use crate::model::Model;
use crate::plan::Origin;
use crate::state::State;

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
    let choice = |unit: &crate::model::Unit| {
        let wanted = order.iter().copied().find(|&provider| unit.allows(provider));
        wanted.or_else(|| unit.options().next()).unwrap_or(0) as u8
    };
    model.units.iter().map(choice).collect()
}

/// Each unit where it alone is cheapest.
fn per_node(model: &Model) -> Vec<u8> {
    let cheapest = |unit: &crate::model::Unit| {
        unit.options().min_by_key(|&provider| (unit.cost[provider], provider)).unwrap_or(0) as u8
    };
    model.units.iter().map(cheapest).collect()
}

/// Greedy by priority within the budgets of weights: in order of execution, each unit goes to the
/// first provider that may have it and still has room.
pub(crate) fn by_priority(model: &Model) -> Vec<u8> {
    let last = |unit: &crate::model::Unit| unit.options().last().unwrap_or(0) as u8;
    let resting = |unit: &crate::model::Unit| match model.fallback {
        Some(fallback) if unit.allows(fallback) => fallback as u8,
        _ => last(unit),
    };
    let mut state = State::new(model, model.units.iter().map(resting).collect());
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
