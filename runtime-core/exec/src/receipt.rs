//! What a run leaves: who really ran what, what was moved, what went wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use remuda_plan::PlanId;

/// Bytes that a run copied between memories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// From host memory to devices.
    pub uploaded: u64,
    /// From devices to host memory.
    pub downloaded: u64,
    /// Between devices.
    pub between: u64,
}

impl Moved {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.uploaded.saturating_add(self.downloaded).saturating_add(self.between)
    }

    /// Counts what somebody else moved.
    pub(crate) fn add(&mut self, other: Self) {
        self.uploaded += other.uploaded;
        self.downloaded += other.downloaded;
        self.between += other.between;
    }

    /// What came on top of `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            uploaded: self.uploaded - earlier.uploaded,
            downloaded: self.downloaded - earlier.downloaded,
            between: self.between - earlier.between,
        }
    }
}

/// What one part of a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReceipt {
    /// Who ran it.
    pub target: Arc<str>,
    /// How many nodes it ran: those of the plan, unless some make nothing in any such run.
    pub nodes: usize,
    /// When it ran, counted from 0: parts of one turn ran at the same time.
    pub turn: usize,
    /// How long it took, copies before it included.
    pub time: Duration,
    /// What was copied for it.
    pub moved: Moved,
}

impl PartReceipt {
    /// Counts another piece of the part in.
    pub(crate) fn add(&mut self, nodes: usize, time: Duration, moved: Moved) {
        self.nodes += nodes;
        self.time += time;
        self.moved.uploaded += moved.uploaded;
        self.moved.downloaded += moved.downloaded;
        self.moved.between += moved.between;
    }
}

/// A target that failed in a run and was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The target.
    pub target: Arc<str>,
    /// The part that it was running, by its place in the plan of that time.
    pub part: usize,
    /// A short word: `out-of-memory`, `device-lost`, `timeout`, `unsupported`, `internal`.
    pub code: &'static str,
    /// What it said.
    pub reason: String,
    /// The plan that the run went on with.
    pub plan: PlanId,
}

/// What a run leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The plan that the result was made with.
    pub plan: PlanId,
    /// The shape class of the plan that it followed; empty where there is only one.
    pub class: String,
    /// Its parts, in the order in which they ran.
    pub parts: Vec<PartReceipt>,
    /// What failed before.
    pub failovers: Vec<Failover>,
    /// How the inputs left the bounds of the usual plan, if they did and another was followed.
    pub outside: Option<String>,
    /// What the contract wants the user to know.
    pub warnings: Arc<[String]>,
    /// What was copied, outputs to the host included; failed attempts are not counted.
    pub moved: Moved,
    /// How long all of it took, failed attempts included.
    pub time: Duration,
}
