//! What flows along an edge when a graph runs.

use std::sync::Arc;

use remuda_tensor::Tensor;

use crate::{OpError, StateRef};

/// What flows along an edge when a graph runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    /// A tensor.
    Tensor(Tensor),
    /// A list of values of one type.
    Sequence(Arc<Vec<Val>>),
    /// A value that may be absent.
    Optional(Option<Arc<Val>>),
    /// State that outlives runs; only nodes inside a provider see it.
    State(StateRef),
}

impl Val {
    /// A sequence of these.
    #[must_use]
    pub fn sequence(items: Vec<Self>) -> Self {
        Self::Sequence(Arc::new(items))
    }

    /// The tensor, if it is one.
    ///
    /// # Errors
    /// When it is a sequence or an optional.
    pub fn tensor(&self) -> Result<&Tensor, OpError> {
        match self {
            Self::Tensor(tensor) => Ok(tensor),
            other => Err(OpError::Invalid(format!("expected a tensor, got {}", other.kind()))),
        }
    }

    /// The items, if it is a sequence.
    ///
    /// # Errors
    /// When it is something else.
    pub fn items(&self) -> Result<&[Self], OpError> {
        match self {
            Self::Sequence(items) => Ok(items),
            other => Err(OpError::Invalid(format!("expected a sequence, got {}", other.kind()))),
        }
    }

    /// The state, if it is one.
    ///
    /// # Errors
    /// When it is something else.
    pub fn state(&self) -> Result<&StateRef, OpError> {
        match self {
            Self::State(state) => Ok(state),
            other => Err(OpError::Invalid(format!("expected a state, got {}", other.kind()))),
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tensor(_) => "a tensor",
            Self::Sequence(_) => "a sequence",
            Self::Optional(_) => "an optional",
            Self::State(_) => "a state",
        }
    }
}

impl From<Tensor> for Val {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}
