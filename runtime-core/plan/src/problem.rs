//! What the planner is given: providers with their answers, nodes, tensors, budgets and wishes.
//!
//! Whoever asked the providers fills this in; nothing here knows an operator's meaning. Numbers
//! that came from providers are taken as they are, even absurd ones: [`crate::Planner::new`]
//! replaces what cannot be believed and says so in [`crate::Notice`]s.

use crate::ids::{NodeId, ProviderId, TensorId, WeightId};
use crate::reason::Code;

/// Where a number comes from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Source {
    /// Timed on this machine.
    Measured,
    /// Stated by the provider.
    Declared,
    /// Worked out from a model of the device.
    Modelled,
    /// Nobody knows; the planner put a stand-in.
    #[default]
    Unknown,
}

impl Source {
    /// Every source, best first.
    pub const ALL: &'static [Self] =
        &[Self::Measured, Self::Declared, Self::Modelled, Self::Unknown];

    /// The stable spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Declared => "declared",
            Self::Modelled => "modelled",
            Self::Unknown => "unknown",
        }
    }

    /// The source with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|source| source.as_str() == text)
    }
}

/// A time as a provider or a measurement states it, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Nanoseconds. Not trusted: may be negative, huge or no number at all.
    pub ns: f64,
    /// Where the number comes from; with `Unknown` the number is ignored.
    pub source: Source,
}

impl Cost {
    /// Nobody knows what it costs, which is a legal answer.
    pub const UNKNOWN: Self = Self { ns: 0.0, source: Source::Unknown };

    /// A cost that was timed on this machine.
    #[must_use]
    pub fn measured(ns: f64) -> Self {
        Self { ns, source: Source::Measured }
    }

    /// A cost that the provider states.
    #[must_use]
    pub fn declared(ns: f64) -> Self {
        Self { ns, source: Source::Declared }
    }

    /// A cost from a model of the device.
    #[must_use]
    pub fn modelled(ns: f64) -> Self {
        Self { ns, source: Source::Modelled }
    }
}

/// What a provider says when asked about one node in one shape class.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It can run the node.
    Yes {
        /// What one run costs.
        cost: Cost,
    },
    /// It cannot.
    No {
        /// Why, for machines.
        code: Code,
        /// Why, in the provider's words.
        text: String,
    },
}

impl Answer {
    /// Yes, at this cost.
    #[must_use]
    pub fn yes(cost: Cost) -> Self {
        Self::Yes { cost }
    }

    /// No, for this reason.
    #[must_use]
    pub fn no(code: Code, text: impl Into<String>) -> Self {
        Self::No { code, text: text.into() }
    }
}

/// One node of the legalised graph.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Its path in the model, unique.
    pub name: String,
    /// Its operator, for messages and for recognising equal blocks.
    pub op: String,
    /// What each provider answered: one row per shape class, one entry per provider. A single row
    /// holds for every class.
    pub answers: Vec<Vec<Answer>>,
    /// What must be resident where it runs: weights and state.
    pub weights: Vec<WeightId>,
    /// Nodes with the same group stay in one part, with whatever lies on a path between them.
    pub group: Option<u32>,
    /// Which copy of a repeated block (transformer layer) it belongs to, in order of execution.
    pub block: Option<u32>,
    /// It holds state, so that every shape class must run it on one provider.
    pub tied: bool,
    /// It is cheap and pure: it may be run again where its result is needed, instead of a copy.
    pub repeatable: bool,
}

/// A value that passes between nodes, enters the graph or leaves it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Its name in the model.
    pub name: String,
    /// The node that makes it; none for a graph input, which lies at [`Problem::home`].
    pub producer: Option<NodeId>,
    /// The nodes that read it.
    pub consumers: Vec<NodeId>,
    /// It leaves the graph: it has to arrive at [`Problem::home`].
    pub output: bool,
    /// Its size per shape class. A single entry holds for every class.
    pub bytes: Vec<u64>,
}

/// Bytes that stay resident, counted once per provider however many nodes share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weight {
    /// Its name in the model.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// One provider as far as placement cares. Its position in [`Problem::providers`] is its priority:
/// the first is preferred.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provider {
    /// Its name, unique.
    pub name: String,
    /// What one run of one part costs besides its nodes: launch and synchronisation.
    pub launch: Cost,
    /// The bytes it may use: weights, activations and workspace together. None is no limit.
    pub budget_bytes: Option<u64>,
    /// The bytes it needs for itself once it has any node.
    pub workspace_bytes: u64,
    /// It can run independent parts at the same time.
    pub streams: bool,
    /// Which memory it computes in. Between providers with the same number no copy is needed.
    pub memory: u32,
}

/// What copies from one provider's memory to another's cost: latency plus bytes over bandwidth.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// From where.
    pub from: ProviderId,
    /// To where.
    pub to: ProviderId,
    /// The cost of an empty copy; its source speaks for the bandwidth too.
    pub latency: Cost,
    /// Bytes per nanosecond, which is GB/s. Not trusted.
    pub bytes_per_ns: f64,
}

/// Shapes that are planned for separately over one residency of the weights, such as prefill and
/// decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeClass {
    /// Its name.
    pub name: String,
    /// How often it runs relative to the others: the weight of its cost in the sum.
    pub runs: u32,
}

/// A placement problem.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problem {
    /// The providers, most preferred first.
    pub providers: Vec<Provider>,
    /// Copy costs; what is not listed is taken as slow, with a notice.
    pub links: Vec<Link>,
    /// The shape classes; none means one unnamed class.
    pub classes: Vec<ShapeClass>,
    /// The nodes, in any order.
    pub nodes: Vec<Node>,
    /// The tensors.
    pub tensors: Vec<Tensor>,
    /// The resident bytes.
    pub weights: Vec<Weight>,
    /// Where graph inputs lie and graph outputs must arrive: the provider that works in host memory.
    pub home: ProviderId,
    /// The provider that must be able to run every node. None if the user forbade falling back.
    pub fallback: Option<ProviderId>,
}

impl Problem {
    /// Adds a provider and returns its id.
    pub fn add_provider(&mut self, provider: Provider) -> ProviderId {
        self.providers.push(provider);
        ProviderId::from(self.providers.len() - 1)
    }

    /// Adds a node and returns its id.
    pub fn add_node(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId::from(self.nodes.len() - 1)
    }

    /// Adds a tensor and returns its id.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId::from(self.tensors.len() - 1)
    }

    /// Adds resident bytes and returns their id.
    pub fn add_weight(&mut self, name: impl Into<String>, bytes: u64) -> WeightId {
        self.weights.push(Weight { name: name.into(), bytes });
        WeightId::from(self.weights.len() - 1)
    }

    /// Adds copies in both directions between two providers.
    pub fn link_both(&mut self, a: ProviderId, b: ProviderId, latency: Cost, bytes_per_ns: f64) {
        self.links.push(Link { from: a, to: b, latency, bytes_per_ns });
        self.links.push(Link { from: b, to: a, latency, bytes_per_ns });
    }

    /// The provider with this name.
    #[must_use]
    pub fn provider_named(&self, name: &str) -> Option<ProviderId> {
        self.providers.iter().position(|provider| provider.name == name).map(ProviderId::from)
    }
}
