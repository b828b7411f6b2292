//! What the planner returns: who runs what, in which order, in how much memory, and why.
//!
//! A plan stands alone: it carries the names it speaks of, so that it can be printed, stored,
//! read back and compared without the problem it came from.

mod read;
mod write;

pub use read::ReadError;

use crate::ids::{NodeId, ProviderId, TensorId};
use crate::notice::Notice;
use crate::options::Policy;
use crate::problem::Source;
use crate::reason::Reason;

/// Identifies a plan by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PlanId(pub u128);

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Which idea the plan came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Everything on the fallback.
    Fallback,
    /// One provider, the fallback for the rest.
    Single,
    /// Each node at the first provider that may have it.
    Priority,
    /// Each node where it alone is cheapest.
    PerNode,
    /// The plan that was handed in.
    Cached,
    /// A minimum cut between two providers.
    Cut,
    /// The best division of a chain of equal blocks.
    Chain,
    /// A seed made better by moves.
    Search,
    /// All assignments were considered: it is the best there is.
    Exhaustive,
}

impl Origin {
    /// Every origin.
    pub const ALL: &'static [Self] = &[
        Self::Fallback,
        Self::Single,
        Self::Priority,
        Self::PerNode,
        Self::Cached,
        Self::Cut,
        Self::Chain,
        Self::Search,
        Self::Exhaustive,
    ];

    /// The stable spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Single => "single",
            Self::Priority => "priority",
            Self::PerNode => "per-node",
            Self::Cached => "cached",
            Self::Cut => "cut",
            Self::Chain => "chain",
            Self::Search => "search",
            Self::Exhaustive => "exhaustive",
        }
    }

    /// The origin with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|origin| origin.as_str() == text)
    }
}

/// What a simple rule would have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instead {
    /// The rule: everything on the fallback, one provider, the order of the providers, or each node
    /// where it alone is cheapest.
    pub rule: Origin,
    /// Its predicted cost: the sum over the classes, weighted by their runs.
    pub cost_ns: u64,
    /// The parts of all classes together.
    pub parts: u32,
}

/// A predicted cost by kind, for one run of a shape class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breakdown {
    /// Of the nodes.
    pub compute_ns: u64,
    /// Of the copies.
    pub transfer_ns: u64,
    /// Of the launches.
    pub launch_ns: u64,
}

impl Breakdown {
    /// The sum.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.compute_ns.saturating_add(self.transfer_ns).saturating_add(self.launch_ns)
    }
}

/// One provider's share of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUse {
    /// Its name.
    pub name: String,
    /// What it may use.
    pub budget_bytes: Option<u64>,
    /// Weights and state resident there, over all classes.
    pub weights_bytes: u64,
    /// What it needs for itself.
    pub workspace_bytes: u64,
    /// The block that holds every buffer of whichever class needs most.
    pub arena_bytes: u64,
}

impl ProviderUse {
    /// The most bytes in use at any time.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.weights_bytes.saturating_add(self.workspace_bytes).saturating_add(self.arena_bytes)
    }
}

/// Where one node runs, and why not elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Who runs it.
    pub provider: ProviderId,
    /// In which part, as an index into [`ClassPlan::parts`].
    pub part: u32,
    /// Its predicted cost there.
    pub cost_ns: u64,
    /// Where that number comes from.
    pub source: Source,
    /// One reason for every other provider, most preferred first.
    pub reasons: Vec<Reason>,
}

/// Nodes that one provider runs in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Who runs it.
    pub provider: ProviderId,
    /// Parts of one wave do not depend on each other; they share one launch.
    pub wave: u32,
    /// Its nodes, in executable order.
    pub nodes: Vec<NodeId>,
    /// Cheap nodes of other parts that are run again here instead of copying their results.
    pub repeats: Vec<NodeId>,
    /// What it reads from outside.
    pub inputs: Vec<TensorId>,
    /// What others read of what it makes.
    pub outputs: Vec<TensorId>,
    /// The predicted cost of its nodes and repeats.
    pub compute_ns: u64,
    /// Its launch; nothing for further parts of one wave.
    pub launch_ns: u64,
    /// The least certain source among these numbers.
    pub source: Source,
}

/// One copy of a tensor into another memory; there is at most one per tensor and memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What is copied.
    pub tensor: TensorId,
    /// Whose memory it is in.
    pub from: ProviderId,
    /// Whose memory it goes to.
    pub to: ProviderId,
    /// Its size.
    pub bytes: u64,
    /// The predicted cost.
    pub cost_ns: u64,
    /// Where that number comes from.
    pub source: Source,
    /// The part with which the copy is issued: right after it if it makes the tensor, else beside
    /// it. None if before the first part.
    pub issue: Option<u32>,
    /// The part that needs it first; none if only the graph's output does.
    pub needed: Option<u32>,
}

/// Where a tensor lies in a provider's block of memory, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// The tensor.
    pub tensor: TensorId,
    /// Whose block.
    pub provider: ProviderId,
    /// Where in it.
    pub offset: u64,
    /// How much.
    pub bytes: u64,
    /// The first step at which it is alive; steps count nodes in order of execution.
    pub first: u32,
    /// The last step at which it is alive.
    pub last: u32,
}

/// The plan of one shape class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPlan {
    /// Its name.
    pub name: String,
    /// The weight of its cost in the sum.
    pub runs: u32,
    /// In order of execution.
    pub parts: Vec<Part>,
    /// Per node of the problem.
    pub placements: Vec<Placement>,
    /// In order of need.
    pub transfers: Vec<Transfer>,
    /// Every tensor in every memory it visits.
    pub buffers: Vec<Buffer>,
    /// The predicted cost of one run.
    pub cost: Breakdown,
}

/// Who runs what, in which order, in how much memory, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Identifies everything below.
    pub id: PlanId,
    /// Identifies the problem, the options and the refusals it was made for.
    pub problem: PlanId,
    /// What decided.
    pub policy: Policy,
    /// Which idea won.
    pub origin: Origin,
    /// The predicted cost: the sum over the classes, weighted by their runs.
    pub cost_ns: u64,
    /// Most preferred first.
    pub providers: Vec<ProviderUse>,
    /// The names behind [`NodeId`].
    pub nodes: Vec<String>,
    /// The names behind [`TensorId`].
    pub tensors: Vec<String>,
    /// The shape classes.
    pub classes: Vec<ClassPlan>,
    /// What simple rules would have come to, as far as they fit the budgets; nothing where the order
    /// of the providers decided.
    pub instead: Vec<Instead>,
    /// Numbers that were not believed.
    pub notices: Vec<Notice>,
}

impl Plan {
    /// The node with this name.
    #[must_use]
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|known| known == name).map(NodeId::from)
    }

    /// Bytes copied in one run of `class`.
    #[must_use]
    pub fn bytes_moved(&self, class: usize) -> u64 {
        self.classes.get(class).map_or(0, |class| class.transfers.iter().map(|t| t.bytes).sum())
    }

    /// Why each provider got or did not get a node, one sentence per line.
    #[must_use]
    pub fn explain(&self, node: NodeId) -> String {
        let mut out = String::new();
        let name = |id: ProviderId| self.providers.get(id.index()).map_or("?", |p| p.name.as_str());
        for class in &self.classes {
            let Some(placement) = class.placements.get(node.index()) else { continue };
            let node = &self.nodes[node.index()];
            let cost = crate::time::show_ns(placement.cost_ns);
            out.push_str(&format!(
                "node `{node}`{} runs on `{}` in part {}: {cost} ({})\n",
                if class.name.is_empty() { String::new() } else { format!(" ({})", class.name) },
                name(placement.provider),
                placement.part,
                placement.source.as_str()
            ));
            for reason in &placement.reasons {
                out.push_str(&format!("  not on {}\n", reason.sentence(name(reason.provider))));
            }
        }
        out
    }
}
