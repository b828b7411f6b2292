//! Why a model cannot be imported, and where in it.

use std::fmt;

use remuda_ir::{OpError, VerifyError};
use remuda_tensor::TensorError;

/// Why a model cannot be imported. The families are kept apart to the outermost edge: *invalid* is
/// the file, *unsupported* is valid but not implemented, *resource* is memory or a file that cannot
/// be had, *bug* is ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The bytes are no valid model.
    #[error("{0}")]
    Invalid(Box<Problem>),
    /// Valid, but not implemented; names what.
    #[error("{0}")]
    Unsupported(Box<Problem>),
    /// Memory, a limit or a file does not suffice.
    #[error("{0}")]
    Resource(Box<Problem>),
    /// An invariant of our own does not hold.
    #[error("{0}; this is a bug in remuda, please report it")]
    Bug(Box<Problem>),
}

/// What is wrong and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// Where, from the outside in: `graph `main``, `node `blk.3/attn` (Softmax)`, `attribute `axis``.
    pub place: Vec<String>,
    /// What is wrong: expected, then got.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place.join(", "))?;
        }
        f.write_str(&self.message)
    }
}

pub(crate) type Result<T, E = ImportError> = std::result::Result<T, E>;

fn problem(message: impl Into<String>) -> Box<Problem> {
    Box::new(Problem { message: message.into(), ..Problem::default() })
}

impl ImportError {
    /// An [`ImportError::Invalid`] without a place.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(problem(message))
    }

    /// An [`ImportError::Unsupported`] without a place.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported(problem(message))
    }

    /// An [`ImportError::Resource`] without a place.
    pub fn resource(message: impl Into<String>) -> Self {
        Self::Resource(problem(message))
    }

    /// The same error inside this place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.problem_mut().place.insert(0, place.into());
        self
    }

    /// The same error with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem_mut().hint = Some(hint.into());
        self
    }

    /// What is wrong and where.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        match self {
            Self::Invalid(problem)
            | Self::Unsupported(problem)
            | Self::Resource(problem)
            | Self::Bug(problem) => problem,
        }
    }

    fn problem_mut(&mut self) -> &mut Problem {
        match self {
            Self::Invalid(problem)
            | Self::Unsupported(problem)
            | Self::Resource(problem)
            | Self::Bug(problem) => problem,
        }
    }
}

impl From<OpError> for ImportError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Invalid(message) => Self::Invalid(problem(message)),
            OpError::Unsupported(message) => Self::Unsupported(problem(message)),
            OpError::Resource(message) => Self::Resource(problem(message)),
            OpError::Bug(message) => Self::Bug(problem(message)),
            other @ (OpError::Cancelled | OpError::DeviceLost(_)) => {
                Self::Bug(problem(other.to_string()))
            }
        }
    }
}

impl From<TensorError> for ImportError {
    fn from(error: TensorError) -> Self {
        OpError::from(error).into()
    }
}

impl From<VerifyError> for ImportError {
    fn from(error: VerifyError) -> Self {
        Self::invalid(error.message).at(error.place)
    }
}

/// Adds a place to the error of a result.
pub(crate) trait At<T> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<ImportError>> At<T> for Result<T, E> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().at(place()))
    }
}
