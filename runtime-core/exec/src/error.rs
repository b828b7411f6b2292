//! Why a graph has no session, or a run no result.

use remuda_host::Failure;
use remuda_plan::PlanError;

/// Why a graph has no session, or a run no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// No plan was found.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The user's contract is not met.
    #[error("the placement contract is broken: {0}")]
    Contract(String),
    /// A target that cannot be replaced failed, or the contract forbids to replace it.
    #[error("{}", with_target(target, failure))]
    Failed {
        /// The target's name; empty for the CPU, whose failures need no address.
        target: String,
        /// How it failed.
        failure: Failure,
    },
    /// A pin or forbid names nothing, or states have no sizes.
    #[error("{0}")]
    Wish(String),
    /// A target is lost with the states that it kept, and there is no mirror of them. The session goes
    /// on without it; every sequence is empty and has to be fed again from its beginning.
    #[error(
        "the caches of {sequences} sequences are lost with their device, expected to be filled again"
    )]
    StatesLost {
        /// How many sequences there may be.
        sequences: u32,
    },
}

impl ExecError {
    /// Something that the caller gave makes no sense.
    pub(crate) fn invalid(text: String) -> Self {
        Self::Failed { target: String::new(), failure: Failure::Invalid(text) }
    }
}

fn with_target(target: &str, failure: &Failure) -> String {
    if target.is_empty() { failure.to_string() } else { format!("`{target}`: {failure}") }
}
