//! Which cells of a cache's tables are free, and which hold the positions of which sequence: for providers
//! that keep a key/value cache as tables with a row per cell.
//!
//! A sequence is a list of cells; sequences that begin alike share theirs, and a cell is written once, so
//! nothing is ever copied. Cells are in no order: each token of a step sees some of them. What a step adds
//! belongs to its sequences only when the step went well ([`CellStep`]).

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use remuda_bridge::Failure;
use remuda_ir::{OpError, State, StateType, appended};

use crate::StateRequest;

mod lists;

use lists::Cells;

/// The cells of one cache.
#[derive(Debug)]
pub struct CellBook {
    ty: StateType,
    cells: Mutex<Cells>,
}

/// What a step adds to a cache; given back unless it is kept.
#[derive(Debug)]
pub struct CellStep<'c> {
    book: &'c CellBook,
    added: Vec<u32>,
    /// The sequence and the tokens of each run.
    runs: Vec<(u32, Range<usize>)>,
    lists: Vec<Vec<u32>>,
    seen: Vec<(usize, Range<usize>)>,
}

impl CellBook {
    /// The free cells of a new cache.
    ///
    /// # Errors
    /// When its sizes make no sense.
    pub fn new(request: &StateRequest) -> Result<Self, Failure> {
        request.ty.check()?;
        let count = u32::try_from(request.capacity).ok().and_then(|count| count.try_into().ok());
        let count: usize = count.ok_or_else(|| {
            Failure::Invalid(format!("a cache of {} positions is too large", request.capacity))
        })?;
        let cells = Mutex::new(Cells::new(count, request.sequences));
        Ok(Self { ty: request.ty.clone(), cells })
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the cache holds.
    #[must_use]
    pub fn ty(&self) -> &StateType {
        &self.ty
    }

    /// As [`State::length`].
    ///
    /// # Errors
    /// As there.
    pub fn length(&self, sequence: u32) -> Result<usize, OpError> {
        self.cells().length(sequence)
    }

    /// As [`State::truncate`].
    ///
    /// # Errors
    /// As there.
    pub fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        self.cells().truncate(sequence, length, &self.ty)
    }

    /// As [`State::copy`]; nothing is copied.
    ///
    /// # Errors
    /// As there.
    pub fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        self.cells().copy(from, to, length, &self.ty)
    }

    /// The cells of some positions.
    ///
    /// # Errors
    /// When they are not there (any more).
    pub fn cells_of(&self, sequence: u32, positions: &Range<usize>) -> Result<Vec<u32>, OpError> {
        self.cells().cells_of(sequence, positions)
    }

    /// Appends so many positions to a sequence, whose cells `write` fills; if it fails, all is as it was.
    ///
    /// # Errors
    /// When there are not enough cells, or the error of `write`.
    pub fn append(
        &self,
        sequence: u32,
        positions: usize,
        write: impl FnOnce(&[u32]) -> Result<(), OpError>,
    ) -> Result<(), OpError> {
        let length = self.length(sequence)?;
        let added = {
            let mut cells = self.cells();
            cells.forget(sequence, self.ty.reach(length));
            cells.take(positions)?
        };
        let written = write(&added);
        let mut cells = self.cells();
        match written {
            Ok(()) => cells.push(sequence, &added),
            Err(_) => cells.give_back(&added),
        }
        written
    }

    /// Takes cells for the tokens of a step of the state that has this book.
    ///
    /// # Errors
    /// When the tokens do not follow on what is there, or there are not enough cells.
    pub fn begin(
        &self,
        state: &dyn State,
        sequences: &[i64],
        positions: &[i64],
    ) -> Result<CellStep<'_>, OpError> {
        let runs = appended(state, sequences, positions)?;
        let mut cells = self.cells();
        for (at, run) in runs.iter().enumerate() {
            let earlier = &runs[..at];
            if earlier.iter().all(|other| other.sequence != run.sequence) {
                cells.forget(run.sequence, self.ty.reach(run.start));
            }
        }
        let added = cells.take(sequences.len())?;
        let mut seen = Vec::with_capacity(added.len());
        let mut lists = Vec::with_capacity(runs.len());
        for (at, run) in runs.iter().enumerate() {
            // Tokens of the sequence in earlier runs of this step come before these.
            let before = runs[..at]
                .iter()
                .filter(|other| other.sequence == run.sequence)
                .flat_map(|other| added[other.tokens.clone()].iter().copied());
            let mut list: Vec<u32> = cells.kept(run.sequence).map(|(_, cell)| cell).collect();
            list.extend(before);
            let old = list.len();
            list.extend(&added[run.tokens.clone()]);
            for token in 0..run.tokens.len() {
                let position = run.start + token;
                let end = old + token + 1;
                // The last of them is at `position`, and they follow each other.
                let reached = position + 1 - self.ty.reach(position);
                seen.push((at, end.saturating_sub(reached)..end));
            }
            lists.push(list);
        }
        let runs = runs.into_iter().map(|run| (run.sequence, run.tokens)).collect();
        Ok(CellStep { book: self, added, runs, lists, seen })
    }
}

impl CellStep<'_> {
    /// The cell of each token.
    #[must_use]
    pub fn added(&self) -> &[u32] {
        &self.added
    }

    /// For each run of tokens that go to one sequence the cells of the sequence, by position.
    #[must_use]
    pub fn lists(&self) -> &[Vec<u32>] {
        &self.lists
    }

    /// For each token its run, and which part of that list it sees.
    #[must_use]
    pub fn seen(&self) -> &[(usize, Range<usize>)] {
        &self.seen
    }

    /// The step went well: its cells are its sequences'.
    pub fn keep(mut self) {
        let added = std::mem::take(&mut self.added);
        let mut cells = self.book.cells();
        for (sequence, tokens) in &self.runs {
            cells.push(*sequence, &added[tokens.clone()]);
        }
    }
}

impl Drop for CellStep<'_> {
    fn drop(&mut self) {
        if !self.added.is_empty() {
            self.book.cells().give_back(&self.added);
        }
    }
}
