//! Why there is no plan.

use crate::reason::Code;

/// What keeps a problem from having a plan. Every variant names the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// invalid: the problem contradicts itself.
    #[error("malformed problem at {place}: expected {expected}, got {got}")]
    Malformed {
        /// Which entry, as a path.
        place: String,
        /// What should be there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// invalid: the graph has a cycle.
    #[error("the graph has a cycle through node `{node}`")]
    Cyclic {
        /// One node on the cycle.
        node: String,
    },
    /// invalid: the user's pins and forbids leave a node no provider.
    #[error(
        "node `{node}` is pinned to `{provider}`, which cannot have it: {} ({text})",
        code.as_str()
    )]
    PinRefused {
        /// The node.
        node: String,
        /// Where it was pinned.
        provider: String,
        /// Why that provider cannot have it.
        code: Code,
        /// The same in words.
        text: String,
    },
    /// unsupported: every provider says no to this node, whatever the user wishes.
    #[error("no provider supports node `{node}` ({op}): {why}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// One clause per provider.
        why: String,
    },
    /// unsupported: no provider is left for this node.
    #[error("no provider can run node `{node}` ({op}): {why}")]
    NoProvider {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// One clause per provider.
        why: String,
    },
    /// resource: no assignment was found that fits every budget.
    #[error("provider `{provider}` needs {needed} bytes, its budget is {budget}")]
    OutOfMemory {
        /// The provider whose budget is missed by least.
        provider: String,
        /// What the nearest plan needs there.
        needed: u64,
        /// What it may use.
        budget: u64,
    },
    /// bug: a refusal that takes nothing away, so planning again could not end.
    #[error("the refusal of `{provider}` names no node that it still has")]
    NothingRefused {
        /// The provider.
        provider: String,
    },
    /// bug: a plan broke one of its own rules.
    #[error("internal: the plan breaks the rule `{rule}` at {place}")]
    Broken {
        /// The rule.
        rule: &'static str,
        /// Where.
        place: String,
    },
}
