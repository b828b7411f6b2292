//! Why an operator cannot be typed or run.

use remuda_tensor::TensorError;

/// Why an operator cannot be typed or run. The families are kept apart to the outermost edge:
/// *invalid* is the caller's input, *unsupported* is valid but not implemented, *resource* is memory
/// or time, *bug* is ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The model or its inputs break the operator's own rules.
    #[error("{0}")]
    Invalid(String),
    /// Valid, but not implemented; names the dtype or attribute.
    #[error("{0}")]
    Unsupported(String),
    /// Memory or another resource does not suffice.
    #[error("{0}")]
    Resource(String),
    /// The device that holds a state is gone, and the state with it.
    #[error("the device is lost: {0}")]
    DeviceLost(String),
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// An invariant of our own does not hold.
    #[error("{0}; this is a bug in remuda, please report it")]
    Bug(String),
}

impl OpError {
    /// An [`OpError::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// An [`OpError::Unsupported`].
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }

    /// The same error with where it happened in front.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        match self {
            Self::Invalid(text) => Self::Invalid(format!("{place}: {text}")),
            Self::Unsupported(text) => Self::Unsupported(format!("{place}: {text}")),
            Self::Resource(text) => Self::Resource(format!("{place}: {text}")),
            Self::DeviceLost(text) => Self::DeviceLost(format!("{place}: {text}")),
            Self::Bug(text) => Self::Bug(format!("{place}: {text}")),
            Self::Cancelled => Self::Cancelled,
        }
    }
}

impl From<TensorError> for OpError {
    fn from(error: TensorError) -> Self {
        match error {
            TensorError::TooLarge { .. } => Self::Resource(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}
