//! Which cells are free, and which hold the positions of which sequence.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use remuda_ir::{OpError, StateType};

/// A sequence. Positions in front of `first` were given up.
#[derive(Clone, Debug, Default)]
struct Sequence {
    first: usize,
    cells: VecDeque<u32>,
}

impl Sequence {
    fn length(&self) -> usize {
        self.first + self.cells.len()
    }

    /// Whether these positions are there.
    fn expect_kept(&self, positions: &Range<usize>) -> Result<(), OpError> {
        let inside = positions.start >= self.first && positions.end <= self.length();
        if positions.start <= positions.end && (inside || positions.is_empty()) {
            return Ok(());
        }
        let kept = self.first..self.length();
        Err(OpError::Invalid(format!("positions {positions:?} of a sequence that keeps {kept:?}")))
    }

    /// Whether the sequence can go on from its first `length` positions.
    fn expect_cut(&self, length: usize, ty: &StateType) -> Result<(), OpError> {
        if length == 0 {
            return Ok(());
        }
        self.expect_kept(&(ty.reach(length).min(length)..length))
    }
}

/// The cells of a cache.
#[derive(Debug)]
pub(super) struct Cells {
    /// How many sequences hold each cell.
    holders: Vec<u32>,
    /// Lowest first, so that what is looked at stays short.
    free: BTreeSet<u32>,
    sequences: Vec<Sequence>,
}

impl Cells {
    pub(super) fn new(count: usize, sequences: u32) -> Self {
        Self {
            holders: vec![0; count],
            free: (0..u32::try_from(count).unwrap_or(u32::MAX)).collect(),
            sequences: vec![Sequence::default(); sequences as usize],
        }
    }

    fn missing(&self, sequence: u32) -> OpError {
        let count = self.sequences.len();
        OpError::Invalid(format!("there is no sequence {sequence}: the cache has room for {count}"))
    }

    fn sequence(&self, sequence: u32) -> Result<&Sequence, OpError> {
        self.sequences.get(sequence as usize).ok_or_else(|| self.missing(sequence))
    }

    pub(super) fn length(&self, sequence: u32) -> Result<usize, OpError> {
        Ok(self.sequence(sequence)?.length())
    }

    /// The positions of a sequence that are kept, with their cells.
    pub(super) fn kept(&self, sequence: u32) -> impl Iterator<Item = (usize, u32)> + Clone + '_ {
        let sequence = self.sequences.get(sequence as usize);
        let first = sequence.map_or(0, |sequence| sequence.first);
        let cells = sequence.map(|sequence| sequence.cells.iter().copied());
        cells.into_iter().flatten().enumerate().map(move |(at, cell)| (first + at, cell))
    }

    /// The cells of some positions.
    pub(super) fn cells_of(
        &self,
        sequence: u32,
        positions: &Range<usize>,
    ) -> Result<Vec<u32>, OpError> {
        let sequence = self.sequence(sequence)?;
        sequence.expect_kept(positions)?;
        let skipped = positions.start.saturating_sub(sequence.first);
        Ok(sequence.cells.iter().skip(skipped).take(positions.len()).copied().collect())
    }

    /// Takes free cells.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<u32>, OpError> {
        let left = self.free.len();
        if count > left {
            let text = format!("the cache is full: {count} more positions, {left} cells are left");
            return Err(OpError::Resource(text));
        }
        let taken: Vec<u32> = std::iter::from_fn(|| self.free.pop_first()).take(count).collect();
        taken.iter().for_each(|&cell| self.hold(cell));
        Ok(taken)
    }

    fn hold(&mut self, cell: u32) {
        if let Some(holders) = self.holders.get_mut(cell as usize) {
            *holders += 1;
        }
    }

    /// Cells that a holder no longer needs.
    pub(super) fn give_back(&mut self, cells: &[u32]) {
        for &cell in cells {
            let Some(holders) = self.holders.get_mut(cell as usize) else { continue };
            *holders = holders.saturating_sub(1);
            if *holders == 0 {
                self.free.insert(cell);
            }
        }
    }

    /// Gives a sequence cells that were taken for it.
    pub(super) fn push(&mut self, sequence: u32, cells: &[u32]) {
        match self.sequences.get_mut(sequence as usize) {
            Some(sequence) => sequence.cells.extend(cells),
            None => self.give_back(cells),
        }
    }

    /// Gives up positions in front of one that no later token reaches beyond.
    pub(super) fn forget(&mut self, sequence: u32, position: usize) {
        let mut gone = Vec::new();
        if let Some(sequence) = self.sequences.get_mut(sequence as usize) {
            while sequence.first < position {
                let Some(cell) = sequence.cells.pop_front() else { break };
                gone.push(cell);
                sequence.first += 1;
            }
        }
        self.give_back(&gone);
    }

    fn cut(&mut self, sequence: u32, length: usize) {
        let mut gone = Vec::new();
        if let Some(sequence) = self.sequences.get_mut(sequence as usize) {
            let keep = length.saturating_sub(sequence.first).min(sequence.cells.len());
            gone = sequence.cells.split_off(keep).into();
            if length == 0 {
                sequence.first = 0;
            }
        }
        self.give_back(&gone);
    }

    pub(super) fn truncate(
        &mut self,
        sequence: u32,
        length: usize,
        ty: &StateType,
    ) -> Result<(), OpError> {
        self.sequence(sequence)?.expect_cut(length, ty)?;
        self.cut(sequence, length);
        Ok(())
    }

    pub(super) fn copy(
        &mut self,
        from: u32,
        to: u32,
        length: usize,
        ty: &StateType,
    ) -> Result<(), OpError> {
        self.sequence(from)?.expect_cut(length, ty)?;
        self.sequence(to)?;
        if from == to {
            self.cut(to, length);
            return Ok(());
        }
        let source = self.sequence(from)?;
        let first = if length == 0 { 0 } else { source.first };
        let count = length.saturating_sub(first);
        let cells: VecDeque<u32> = source.cells.iter().take(count).copied().collect();
        cells.iter().for_each(|&cell| self.hold(cell));
        self.cut(to, 0);
        if let Some(target) = self.sequences.get_mut(to as usize) {
            *target = Sequence { first, cells };
        }
        Ok(())
    }
}
