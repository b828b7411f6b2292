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
    /// A pin or forbid names nothing.
    #[error("{0}")]
    Wish(String),
}

fn with_target(target: &str, failure: &Failure) -> String {
    if target.is_empty() { failure.to_string() } else { format!("`{target}`: {failure}") }
}
