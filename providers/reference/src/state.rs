//! Key/value caches as plain as can be, within the limits that they were made for.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use remuda_ops::PlainState;
use remuda_sdk::ir::{OpError, State, StateRef, StateType};
use remuda_sdk::{Failure, StateRequest};

/// A state that knows its limits.
pub(crate) struct Bounded {
    inner: StateRef,
    sequences: u32,
    capacity: u64,
}

impl Bounded {
    pub(crate) fn shared(request: &StateRequest) -> Result<StateRef, Failure> {
        let inner = PlainState::shared(&request.ty)?;
        let (sequences, capacity) = (request.sequences, request.capacity);
        Ok(StateRef(Arc::new(Self { inner, sequences, capacity })))
    }

    fn check(&self, sequence: u32) -> Result<(), OpError> {
        if sequence < self.sequences {
            return Ok(());
        }
        Err(OpError::Invalid(format!("sequence {sequence} of a state for {}", self.sequences)))
    }

    /// How many positions each sequence has.
    fn lengths(&self) -> Result<Vec<usize>, OpError> {
        (0..self.sequences).map(|sequence| self.inner.length(sequence)).collect()
    }

    fn make_room(&self, more: usize) -> Result<(), OpError> {
        let used: usize = self.lengths()?.iter().sum();
        if used.saturating_add(more) as u64 <= self.capacity {
            return Ok(());
        }
        let text = format!("{used} positions and {more} more do not fit into {}", self.capacity);
        Err(OpError::Invalid(text))
    }
}

impl State for Bounded {
    fn ty(&self) -> &StateType {
        self.inner.ty()
    }

    fn length(&self, sequence: u32) -> Result<usize, OpError> {
        self.check(sequence)?;
        self.inner.length(sequence)
    }

    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        self.check(sequence)?;
        self.inner.truncate(sequence, length)
    }

    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        self.check(from)?;
        self.make_room(length.saturating_sub(self.length(to)?))?;
        self.inner.copy(from, to, length)
    }

    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError> {
        self.check(sequence)?;
        self.inner.export(sequence, positions, read)
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        self.check(sequence)?;
        self.make_room(positions.len() / self.ty().position_len().max(1))?;
        self.inner.append(sequence, positions)
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// How long the sequences of some states are: what a failed run puts back.
pub(crate) struct Lengths<'s>(Vec<(&'s StateRef, Vec<usize>)>);

impl<'s> Lengths<'s> {
    pub(crate) fn of(states: &'s [StateRef]) -> Result<Self, OpError> {
        let lengths = |state: &'s StateRef| match state.as_any().downcast_ref::<Bounded>() {
            Some(bounded) => Ok((state, bounded.lengths()?)),
            None => Err(OpError::invalid("a state was made by another provider")),
        };
        Ok(Self(states.iter().map(lengths).collect::<Result<_, _>>()?))
    }

    /// Cuts what was appended since. Runs only append.
    pub(crate) fn restore(self) -> Result<(), OpError> {
        for (state, lengths) in self.0 {
            for (sequence, length) in (0..).zip(lengths) {
                state.truncate(sequence, length)?;
            }
        }
        Ok(())
    }
}
