//! What can be wrong with a template or a conversation.

use minijinja::{Error, ErrorKind};
use remuda_base::Family;

/// A template cannot be read, or cannot be run over a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The template is no template.
    #[error("chat template{}: {message}", at(*line))]
    Syntax {
        /// The line, counted from 1.
        line: Option<usize>,
        /// What was expected and what came.
        message: String,
    },
    /// The template is longer than any template is.
    #[error("chat template: expected at most {limit} bytes, got {got}")]
    TooLong {
        /// The most bytes that are read.
        limit: usize,
        /// Its length.
        got: usize,
    },
    /// The conversation is no conversation.
    #[error("conversation: {0}")]
    Conversation(String),
    /// The template refused the conversation in its own words.
    #[error("the chat template refuses this conversation: {0}")]
    Refused(String),
    /// The template failed.
    #[error("chat template{}: {message}", at(*line))]
    Failed {
        /// The line, counted from 1.
        line: Option<usize>,
        /// What failed.
        message: String,
    },
    /// The template ran for too long or made too much text.
    #[error("chat template: stopped after {what}; it may loop without end")]
    Limit {
        /// Which limit it met.
        what: String,
    },
}

impl ChatError {
    /// Whose turn it is now.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Limit { .. } => Family::Resource,
            _ => Family::Invalid,
        }
    }

    pub(crate) fn syntax(error: &Error) -> Self {
        Self::Syntax { line: error.line(), message: message(error) }
    }

    /// Sorts an error of the engine by its cause.
    pub(crate) fn run(error: &Error) -> Self {
        if let Some(text) = cause(error, REFUSED) {
            return Self::Refused(text.to_owned());
        }
        if let Some(what) = cause(error, LIMIT) {
            return Self::Limit { what: what.to_owned() };
        }
        match error.kind() {
            ErrorKind::OutOfFuel => Self::Limit { what: "its share of instructions".to_owned() },
            _ => Self::Failed { line: error.line(), message: message(error) },
        }
    }
}

const REFUSED: &str = "refused: ";
const LIMIT: &str = "limit: ";

/// An error by which a template refuses a conversation.
pub(crate) fn refused(text: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{REFUSED}{text}"))
}

/// An error by which the budget stops a template.
pub(crate) fn limit(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{LIMIT}{what}"))
}

/// The detail of an error, or of one that caused it, that starts with `mark`.
fn cause<'a>(error: &'a Error, mark: &str) -> Option<&'a str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rest) = error.detail().and_then(|detail| detail.strip_prefix(mark)) {
            return Some(rest);
        }
        next = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    }
    None
}

fn message(error: &Error) -> String {
    let kind = error.kind();
    error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"))
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}
