//! What comes out of a lowering: launches of kernels on spaces of memory.

use remuda_sdk::ir::ValueId;

use crate::shaders::Dispatch;

/// A space of memory of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SpaceId(pub(crate) usize);

/// What indices count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    /// Whether negative indices count from the end.
    pub(crate) wraps: bool,
}

/// How a tensor of the host is written to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Form {
    /// Floats and blocks as they are, truth values and integers as words.
    Plain,
    /// Integers as indices into so many rows, which are checked.
    Indices(Rows),
}

/// Where what a space holds comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The steps write it before they read it.
    Work,
    /// An input, written before each run.
    Input(ValueId, Form),
    /// A constant, written once.
    Constant(ValueId, Form),
    /// The keys of a cache.
    Keys(usize),
    /// The values of a cache.
    Values(usize),
    /// Where a cache's new positions go, written before each run.
    Places(usize),
    /// Which cells the tokens of a step see: lists of cells, written before each run.
    Cells(usize),
    /// For each token the part of those lists, written before each run.
    Spans(usize),
}

/// A space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) origin: Origin,
    /// 0 where the origin decides.
    pub(crate) bytes: u64,
}

/// Part of a space, as a kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) space: SpaceId,
    /// Where it begins.
    pub(crate) offset: u64,
    /// Bytes; none for all of it.
    pub(crate) bytes: Option<u64>,
}

impl Bound {
    /// All of a space.
    pub(crate) fn whole(space: SpaceId) -> Self {
        Self { space, offset: 0, bytes: None }
    }
}

/// One launch.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) dispatch: Dispatch,
    /// What is read, then what is written, in the order of the kernel's bindings.
    pub(crate) bound: Vec<Bound>,
}

/// A node that reads and writes a cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheUse {
    /// The state's value.
    pub(crate) state: ValueId,
    pub(crate) sequences: ValueId,
    pub(crate) positions: ValueId,
}

/// Launches in order, and the memory that they need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) spaces: Vec<Space>,
    pub(crate) steps: Vec<Step>,
    /// The nodes with caches, in order.
    pub(crate) caches: Vec<CacheUse>,
}

impl Plan {
    /// A space for an origin; the one that there is, unless steps write it.
    pub(crate) fn space(&mut self, origin: Origin, bytes: u64) -> SpaceId {
        let known = self.spaces.iter().position(|space| space.origin == origin);
        if let (Some(at), true) = (known, origin != Origin::Work) {
            return SpaceId(at);
        }
        self.spaces.push(Space { origin, bytes });
        SpaceId(self.spaces.len() - 1)
    }
}
