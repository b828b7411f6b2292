//! Brings states to where the plan wants them.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use remuda_host::{Failure, State};
use remuda_ir::StateType;

use super::mirror::reach;
use super::{Cell, States, lock, sequence_names};

/// Positions that are moved at a time: a page of most caches, so that one with a window can give pages
/// back while it is filled.
const CHUNK: u64 = 32;

/// Why states are not where the plan wants them.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// A target does not take them.
    Broken { target: usize, failure: Failure },
    /// They were on a target that is lost; all sequences are empty now.
    Lost,
}

/// Some positions of a sequence, from `start` on.
struct Saved {
    sequence: u32,
    start: u64,
    values: Vec<f32>,
}

impl States {
    /// Brings every state to its home, filled as it was.
    pub(crate) fn settle(&mut self, homes: &[usize]) -> Result<(), Unsettled> {
        let mut lost = false;
        for (at, &home) in homes.iter().enumerate() {
            if self.cells[at].held.as_ref().is_some_and(|(target, _)| *target == home) {
                continue;
            }
            let broken = |failure| Unsettled::Broken { target: home, failure };
            let saved = self.cells[at].saved(&self.shapes.types[at]);
            let mut state = self.shapes.create(at, &self.targets[home]).map_err(broken)?;
            match saved {
                Some(saved) => {
                    fill(&mut state, &saved).map_err(broken)?;
                    for Saved { sequence, start, .. } in saved {
                        self.cells[at].floors[sequence as usize] = start;
                    }
                }
                None => lost = true,
            }
            self.cells[at].held = Some((home, Arc::new(Mutex::new(state))));
        }
        if !lost {
            return Ok(());
        }
        for cell in &mut self.cells {
            cell.torn = false;
            (0..self.shapes.options.sequences).for_each(|sequence| cell.end(sequence));
        }
        Err(Unsettled::Lost)
    }
}

impl Cell {
    /// What its sequences hold: from itself, else from the mirror; nothing if neither has all.
    fn saved(&self, ty: &StateType) -> Option<Vec<Saved>> {
        if self.torn {
            return None;
        }
        let alive = || sequence_names(&self.lengths).filter(|&(_, length)| length > 0);
        let held = self.held.as_ref().and_then(|(_, state)| {
            let state = lock(state)?;
            let read = alive().map(|(sequence, length)| {
                let start = reach(ty, length);
                let values = state.export(sequence, start..length)?;
                Ok(Saved { sequence, start, values })
            });
            read.collect::<Result<Vec<_>, Failure>>().ok()
        });
        held.or_else(|| {
            let mirrored = alive().map(|(sequence, length)| match &self.mirror {
                Some(mirror) => {
                    let (start, values) = mirror.kept(sequence as usize, length)?;
                    Some(Saved { sequence, start, values: values.to_vec() })
                }
                None => None,
            });
            mirrored.collect()
        })
    }
}

/// Appends what was saved. Positions before it, which the window has left behind, become zeros.
fn fill(state: &mut State, saved: &[Saved]) -> Result<(), Failure> {
    let size = state.ty().position_len();
    for Saved { sequence, start, values } in saved {
        for chunk in chunks(0..*start) {
            let count = usize::try_from(chunk.end - chunk.start).unwrap_or(0);
            state.import(*sequence, &vec![0.0; count * size])?;
        }
        for chunk in values.chunks(size * usize::try_from(CHUNK).unwrap_or(1)) {
            state.import(*sequence, chunk)?;
        }
    }
    Ok(())
}

fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range
        .step_by(usize::try_from(CHUNK).unwrap_or(1))
        .map(move |start| start..(start + CHUNK).min(end))
}
