//! Where the time of a run goes.

use std::time::{Duration, Instant};

/// The time of one step of one run.
#[derive(Debug, Clone)]
pub struct StepTime {
    /// The node's name.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// Whether a fast kernel ran, not the reference.
    pub fast: bool,
    /// The dimensions of its first output.
    pub dims: Vec<usize>,
    /// When it started, from the start of the run.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

/// The times of one run.
#[derive(Debug)]
pub struct Profile {
    started: Instant,
    /// One entry per step that ran, in order.
    pub steps: Vec<StepTime>,
}

impl Default for Profile {
    fn default() -> Self {
        Self { started: Instant::now(), steps: Vec::new() }
    }
}

impl Profile {
    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }
}
