//! Moves nodes to later waves of their provider where that keeps fewer bytes alive.
//!
//! Waves run everything as soon as it is ready, which puts constants and shape arithmetic far ahead
//! of their readers. Within the fixed sequence a node may run in any wave of its provider between
//! the last thing it reads and the first thing that reads it. A wave that is left empty goes away,
//! with its launch.

use super::{Schedule, Site};
use crate::model::Model;

/// Waves that are considered for one vertex, the latest first.
const MOST_CHOICES: usize = 64;

/// The schedule with every vertex as late as is worth it.
pub(super) fn pull(site: Site<'_, '_>, schedule: &Schedule) -> Schedule {
    let model = site.state.model;
    let bytes = &model.prices.bytes[site.class];
    let touching = tensors_of(model);
    let mut wave_of = schedule.part_of.clone();
    let mut waves_of = vec![Vec::new(); model.providers];
    for (part, wave) in schedule.parts.iter().zip(0u32..) {
        waves_of[part.provider as usize].push(wave);
    }
    for &vertex in model.graph.topo.iter().rev() {
        let here = wave_of[vertex as usize];
        let provider = schedule.parts[here as usize].provider;
        let readers = model.graph.succs.of(vertex as usize);
        let last_wave = schedule.parts.len() as u32 - 1;
        let limit = readers.iter().map(|&next| wave_of[next as usize]).min().unwrap_or(last_wave);
        let mine = &waves_of[provider as usize];
        let end = mine.partition_point(|&wave| wave <= limit);
        let start = mine.partition_point(|&wave| wave < here).max(end.saturating_sub(MOST_CHOICES));
        let choices = mine[start..end].iter().copied().chain([here]);
        let held = |wave: u32| -> u128 {
            let tensors = touching[vertex as usize].iter();
            tensors.map(|&at| span(model, &wave_of, at, vertex, wave, bytes)).sum()
        };
        let best = choices.min_by_key(|&wave| (held(wave), std::cmp::Reverse(wave)));
        wave_of[vertex as usize] = best.unwrap_or(here);
    }
    fold(schedule, &wave_of)
}

/// The tensors that each vertex makes or reads, without those it keeps to itself.
fn tensors_of(model: &Model) -> Vec<Vec<u32>> {
    let mut touching = vec![Vec::new(); model.graph.len()];
    for (tensor, at) in model.tensors.iter().zip(0u32..) {
        let vertices = tensor.producer.iter().chain(&tensor.consumers);
        let mut vertices: Vec<u32> = vertices.map(|&node| model.vertex_of[node as usize]).collect();
        vertices.sort_unstable();
        vertices.dedup();
        if vertices.len() > 1 || tensor.producer.is_none() {
            for vertex in vertices {
                touching[vertex as usize].push(at);
            }
        }
    }
    touching
}

/// Bytes times waves that a tensor is alive if `vertex` runs in `wave`.
fn span(
    model: &Model,
    wave_of: &[u32],
    tensor: u32,
    vertex: u32,
    wave: u32,
    bytes: &[u64],
) -> u128 {
    let entry = &model.tensors[tensor as usize];
    let wave = |node: u32| {
        let other = model.vertex_of[node as usize];
        if other == vertex { wave } else { wave_of[other as usize] }
    };
    let made = entry.producer.map_or(0, wave);
    let last = entry.consumers.iter().map(|&node| wave(node)).max().unwrap_or(made);
    u128::from(bytes[tensor as usize]) * u128::from(last.saturating_sub(made))
}

/// Drops empty waves and joins neighbours of one provider.
fn fold(schedule: &Schedule, wave_of: &[u32]) -> Schedule {
    let mut used = vec![false; schedule.parts.len()];
    for &wave in wave_of {
        used[wave as usize] = true;
    }
    let mut sequence: Vec<u8> = Vec::new();
    let mut place = vec![0u32; used.len()];
    for (wave, part) in schedule.parts.iter().enumerate() {
        if used[wave] {
            if sequence.last() != Some(&part.provider) {
                sequence.push(part.provider);
            }
            place[wave] = sequence.len() as u32 - 1;
        }
    }
    Schedule::new(&sequence, wave_of.iter().map(|&wave| place[wave as usize]).collect())
}
