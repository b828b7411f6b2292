//! What the user asks of the placement, and the limits of the search.

use crate::ids::{NodeId, ProviderId};

/// What decides between providers that can all run a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Policy {
    /// The predicted cost of the whole; the order of the providers breaks ties only.
    #[default]
    Cost,
    /// The order of the providers: each node goes to the first that can have it; where not everything
    /// fits, each [block](crate::Node::block) as a whole.
    Priority,
}

impl Policy {
    /// The stable spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Priority => "priority",
        }
    }

    /// The policy with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cost, Self::Priority].into_iter().find(|policy| policy.as_str() == text)
    }
}

/// Wishes and limits. All limits count work, never time, so that plans repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What decides.
    pub policy: Policy,
    /// Nodes that must run on a provider.
    pub pins: Vec<(NodeId, ProviderId)>,
    /// Providers that must not run a node; without a node, any.
    pub forbids: Vec<(Option<NodeId>, ProviderId)>,
    /// Up to this many assignments all are considered, which makes the plan optimal.
    pub exhaustive_limit: u64,
    /// Moves that the local search may try, per node.
    pub moves_per_node: u64,
    /// Visits of nodes and edges that the whole search may spend.
    pub work_limit: u64,
    /// By how many per cent a new plan must be better to replace a cached one that still holds.
    pub replace_percent: u64,
    /// After so many refusals by one provider it gets no node of this graph any more.
    pub refusal_rounds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::Cost,
            pins: Vec::new(),
            forbids: Vec::new(),
            exhaustive_limit: 100_000,
            moves_per_node: 200,
            work_limit: 8_000_000,
            replace_percent: 3,
            refusal_rounds: 4,
        }
    }
}
