//! What can be wrong with a constraint.

use remuda_base::Family;

use crate::{MAX_DEPTH, MAX_SOURCE_BYTES};

/// A source is no constraint, or a sequence has left it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// It is too long.
    #[error("{kind}: expected at most {MAX_SOURCE_BYTES} bytes, got {got}")]
    TooLong {
        /// What it is.
        kind: &'static str,
        /// Its length.
        got: usize,
    },
    /// Its brackets nest too deep.
    #[error("{kind}: expected brackets at most {MAX_DEPTH} deep")]
    TooDeep {
        /// What it is.
        kind: &'static str,
    },
    /// It cannot be read.
    #[error("{kind}{}: {message}", at(*line))]
    Syntax {
        /// What it is.
        kind: &'static str,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What was expected and what came.
        message: String,
    },
    /// The vocabulary cannot be used for constraints.
    #[error("this vocabulary cannot be constrained: {0}")]
    Vocabulary(String),
    /// A token is not allowed here.
    #[error("token {token} is not allowed by the {kind} here")]
    NotAllowed {
        /// What constrains the sequence.
        kind: &'static str,
        /// The token.
        token: u32,
    },
    /// The work of a step met its limit.
    #[error("{kind}: {message}")]
    Limit {
        /// What constrains the sequence.
        kind: &'static str,
        /// Which limit it was.
        message: String,
    },
}

impl GrammarError {
    /// Whose turn it is now.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Limit { .. } => Family::Resource,
            Self::Vocabulary(_) => Family::Unsupported,
            _ => Family::Invalid,
        }
    }
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}

/// The first line of a foreign error: the rest is its own state.
pub(crate) fn first_line(error: &dyn ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(300).collect()
}
