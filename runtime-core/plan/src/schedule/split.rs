//! Splits parts into independent pieces where the provider can run them at the same time.
//!
//! Pieces have no edges between them, so the parts stay acyclic. They share one launch in the
//! prediction; a piece that takes less time than a launch is not worth a part of its own.

use super::{Schedule, Site, Step};
use crate::graph::Joined;

/// The schedule with the parts of stream providers split.
pub(super) fn split(site: Site<'_, '_>, schedule: &Schedule) -> Schedule {
    let model = site.state.model;
    let streams = |part: u32| {
        let provider = schedule.parts[part as usize].provider;
        site.problem.providers[provider as usize].streams
    };
    let mut joined = Joined::new(model.graph.len());
    for vertex in 0..model.graph.len() {
        let part = schedule.part_of[vertex];
        let inside = |next: &&u32| schedule.part_of[**next as usize] == part;
        for &next in model.graph.succs.of(vertex).iter().filter(inside) {
            joined.join(vertex as u32, next);
        }
    }
    let pieces: Vec<u32> = (0..model.graph.len() as u32).map(|v| joined.find(v)).collect();
    let mut work = vec![0i64; pieces.len()];
    for (vertex, &piece) in pieces.iter().enumerate() {
        let unit = model.unit_of[site.class][vertex] as usize;
        work[piece as usize] += model.units[unit].cost[site.state.owner_of(unit)];
    }
    let mut members = vec![Vec::new(); schedule.parts.len()];
    for (vertex, &part) in schedule.part_of.iter().enumerate() {
        members[part as usize].push(vertex);
    }
    let mut parts: Vec<Step> = Vec::new();
    let mut part_of = vec![0; pieces.len()];
    for (part, step) in schedule.parts.iter().enumerate() {
        let launch = model.launch[site.class][step.provider as usize];
        let heavy = |piece: u32| streams(part as u32) && work[piece as usize] >= launch.max(1);
        let first = parts.len() as u32;
        let mut place = remuda_base::Map::new();
        for &vertex in &members[part] {
            let piece = Some(pieces[vertex]).filter(|&piece| heavy(piece));
            let next = first + place.len() as u32;
            let at = *place.entry(piece).or_insert(next);
            if at == parts.len() as u32 {
                parts.push(step.clone());
            }
            part_of[vertex] = at;
        }
    }
    Schedule { parts, part_of, remade: schedule.remade.clone() }
}
