//! What a state holds, kept in host memory too.
//!
//! With a window, positions that no later one can reach are given up, as providers do; one more window
//! is kept so that this happens seldom.

use std::ops::Range;

use remuda_host::{Failure, State};
use remuda_ir::StateType;

/// What a state holds, in the neutral form.
#[derive(Debug)]
pub(super) struct Mirror {
    ty: StateType,
    tracks: Vec<Track>,
}

/// The positions of one sequence from `start` on.
#[derive(Clone, Debug, Default)]
struct Track {
    start: u64,
    values: Vec<f32>,
}

impl Mirror {
    pub(super) fn new(ty: &StateType, sequences: u32) -> Self {
        Self { ty: ty.clone(), tracks: vec![Track::default(); sequences as usize] }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.tracks.iter().map(|track| track.values.len() as u64 * 4).sum()
    }

    fn end(&self, at: usize) -> u64 {
        let track = &self.tracks[at];
        track.start + (track.values.len() / self.ty.position_len().max(1)) as u64
    }

    /// The positions of a sequence that a state of this length still needs, if they are all here.
    pub(super) fn kept(&self, at: usize, length: u64) -> Option<(u64, &[f32])> {
        let start = reach(&self.ty, length);
        let track = &self.tracks[at];
        if start < track.start || self.end(at) < length {
            return None;
        }
        Some((start, &track.values[self.range(track, start..length)]))
    }

    fn range(&self, track: &Track, positions: Range<u64>) -> Range<usize> {
        let place = |position: u64| {
            let position = usize::try_from(position - track.start).unwrap_or(usize::MAX);
            position.saturating_mul(self.ty.position_len())
        };
        place(positions.start)..place(positions.end)
    }

    /// Copies what sequences have and the mirror has not.
    pub(super) fn follow(&mut self, state: &State, lengths: &[u64]) -> Result<(), Failure> {
        for (at, (sequence, &length)) in (0u32..).zip(lengths).enumerate() {
            let (have, reach) = (self.end(at), reach(&self.ty, length));
            if have > length {
                self.cut(at, length);
            }
            if have >= length {
                continue;
            }
            if have < reach {
                self.tracks[at] = Track { start: reach, values: Vec::new() };
            }
            let new = state.export(sequence, have.max(reach)..length)?;
            let (window, size) = (self.ty.window, self.ty.position_len());
            let track = &mut self.tracks[at];
            track.values.extend(new);
            let spare = window.map_or(usize::MAX, |window| window.saturating_mul(2));
            if track.values.len() / size.max(1) > spare {
                let gone = usize::try_from(reach - track.start).unwrap_or(0);
                track.values.drain(..gone.saturating_mul(size).min(track.values.len()));
                track.start = reach;
            }
        }
        Ok(())
    }

    /// Cuts a sequence. If what it needs then was given up, the mirror has nothing of it any more.
    pub(super) fn cut(&mut self, at: usize, length: u64) {
        if self.end(at) <= length && length > 0 {
            return;
        }
        let track = &self.tracks[at];
        if length == 0 || reach(&self.ty, length) < track.start {
            self.tracks[at] = Track::default();
            return;
        }
        let keep = self.range(track, track.start..length).end;
        self.tracks[at].values.truncate(keep);
    }

    /// Makes sequence `to` a copy of `from`.
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        self.tracks[to] = self.tracks[from].clone();
    }
}

/// The first position that a state of this length still needs.
pub(super) fn reach(ty: &StateType, length: u64) -> u64 {
    usize::try_from(length).map_or(0, |length| ty.reach(length) as u64)
}
