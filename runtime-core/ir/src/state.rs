//! State that outlives runs, as the nodes that use it see it: a key/value cache.
//!
//! A state holds sequences, named by small numbers; a sequence has positions from 0 on, each with a
//! key and a value per head. Providers store them as they like (pages, block formats, device memory);
//! what all of them offer is here, with positions in one neutral form, so that the reference kernels
//! work on any state and a sequence can move from one provider to another.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use remuda_base::Map;
use remuda_tensor::DType;

use crate::{OpError, StateType};

/// A key/value cache.
///
/// The neutral form of a position: its key, head by head, then its value, head by head.
pub trait State: Send + Sync {
    /// What it was made for.
    fn ty(&self) -> &StateType;

    /// How many positions a sequence has; 0 for one that nothing was appended to.
    ///
    /// # Errors
    /// When there can be no such sequence.
    fn length(&self, sequence: u32) -> Result<usize, OpError>;

    /// Cuts a sequence to so many positions; 0 ends it.
    ///
    /// # Errors
    /// When it is shorter, or when positions in front of the cut that its window still reaches were
    /// given up already.
    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError>;

    /// Makes sequence `to` a copy of the first `length` positions of `from`; memory may be shared.
    ///
    /// # Errors
    /// When `from` is shorter, as for [`State::truncate`], or when memory does not suffice.
    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError>;

    /// Reads positions of a sequence in the neutral form, one call of `read` per position.
    ///
    /// # Errors
    /// When they are not there (any more).
    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError>;

    /// Appends positions in the neutral form to a sequence.
    ///
    /// # Errors
    /// When they do not fit the type, or memory does not suffice; the state is then as it was.
    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError>;

    /// Bytes that it holds, used or not.
    fn bytes(&self) -> u64;

    /// Itself, for the provider that made it.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// A shared handle of a state; equal to itself alone.
#[derive(Clone)]
pub struct StateRef(pub Arc<dyn State>);

impl PartialEq for StateRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for StateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateType { dtype, heads, key_dim, value_dim, .. } = self.0.ty();
        write!(f, "State({dtype}, {heads} heads of {key_dim} and {value_dim})")
    }
}

impl std::ops::Deref for StateRef {
    type Target = dyn State;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl StateType {
    /// Numbers of one position in the neutral form.
    #[must_use]
    pub fn position_len(&self) -> usize {
        self.heads.saturating_mul(self.key_dim.saturating_add(self.value_dim))
    }

    /// The first position that a query at `position` reaches.
    #[must_use]
    pub fn reach(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Whether the sizes make sense and keys and values can be stored in its dtype.
    ///
    /// # Errors
    /// When they cannot.
    pub fn check(&self) -> Result<(), OpError> {
        let Self { dtype, heads, key_dim, value_dim, window } = *self;
        if [heads, key_dim, value_dim, window.unwrap_or(1)].contains(&0) {
            return Err(OpError::Invalid(format!(
                "a cache of {heads} heads of {key_dim} and {value_dim} elements, window {window:?}: \
                 expected sizes above 0"
            )));
        }
        let total = heads.checked_mul(key_dim.saturating_add(value_dim));
        if total.is_none_or(|total| total > MAX_POSITION_LEN) {
            return Err(OpError::Invalid(format!(
                "a cache of {heads} heads of {key_dim} and {value_dim} elements is too large"
            )));
        }
        let rows = [key_dim, value_dim].map(|row| dtype.bytes_for(row).is_some());
        if !is_cacheable(dtype) || rows != [true; 2] {
            return Err(OpError::Unsupported(format!(
                "a cache of `{dtype}` with keys of {key_dim} and values of {value_dim} elements: \
                 expected `f32`, `f16`, `bf16`, or `q8_0` or `q4_0` with a multiple of 32"
            )));
        }
        Ok(())
    }
}

/// No model has more numbers in one position of one layer.
const MAX_POSITION_LEN: usize = 1 << 24;

/// Whether keys and values may be stored so.
fn is_cacheable(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
        || matches!(dtype.name(), "q8_0" | "q4_0")
}

/// Neighbouring tokens of a step that go to one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The sequence.
    pub sequence: u32,
    /// The position of the first of them.
    pub start: usize,
    /// Which tokens of the step.
    pub tokens: Range<usize>,
}

/// What the tokens of a step append to a state: token `i` becomes position `positions[i]` of sequence
/// `sequences[i]`. Positions must follow on what the sequence has.
///
/// # Errors
/// When they do not, or there can be no such sequence.
pub fn appended(
    state: &dyn State,
    sequences: &[i64],
    positions: &[i64],
) -> Result<Vec<Appended>, OpError> {
    if sequences.len() != positions.len() {
        return Err(OpError::Invalid(format!(
            "{} sequences and {} positions: expected one of each per token",
            sequences.len(),
            positions.len()
        )));
    }
    let mut lengths: Map<u32, usize> = Map::new();
    let mut runs: Vec<Appended> = Vec::new();
    for (token, (&sequence, &position)) in sequences.iter().zip(positions).enumerate() {
        let name = u32::try_from(sequence)
            .map_err(|_| OpError::Invalid(format!("there is no sequence {sequence}")))?;
        let next = match lengths.get(&name) {
            Some(&next) => next,
            None => state.length(name)?,
        };
        if usize::try_from(position) != Ok(next) {
            return Err(OpError::Invalid(format!(
                "token {token} has position {position} in sequence {sequence}, expected {next}"
            )));
        }
        lengths.insert(name, next + 1);
        match runs.last_mut() {
            Some(run) if run.sequence == name => run.tokens.end = token + 1,
            _ => runs.push(Appended { sequence: name, start: next, tokens: token..token + 1 }),
        }
    }
    Ok(runs)
}
