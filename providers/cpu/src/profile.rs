//! Where the time of a run goes.

use std::time::Instant;

pub use remuda_sdk::StepTime;

/// Takes the time of each step of one run and tells of it.
pub struct Profile<'a> {
    pub(crate) started: Instant,
    pub(crate) report: &'a dyn Fn(&StepTime),
}

impl std::fmt::Debug for Profile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("started", &self.started).finish_non_exhaustive()
    }
}

impl<'a> Profile<'a> {
    /// A profile that starts now.
    #[must_use]
    pub fn new(report: &'a dyn Fn(&StepTime)) -> Self {
        Self { started: Instant::now(), report }
    }
}
