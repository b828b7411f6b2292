//! What is told of steps besides logits: the receipt of the last one, the devices that failed, and a draft model
//! that was given up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use remuda_exec::plan::Plan;
use remuda_exec::{Failover, Receipt};

/// A device that failed in a step, and where the engine went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFailover {
    /// The step, counted from 1 since the engine started.
    pub step: u64,
    /// Who failed, and how.
    pub failover: Failover,
    /// The targets that the engine went on with. One that failed is among them if it was only given less.
    pub onto: Vec<String>,
}

/// The names of the targets that run a part of a plan, in order of preference.
pub(crate) fn targets(plan: &Plan) -> Vec<String> {
    let runs = |at: usize| {
        let mut parts = plan.classes.iter().flat_map(|class| &class.parts);
        parts.any(|part| part.provider.index() == at)
    };
    let known = plan.providers.iter().enumerate().filter(|(at, _)| runs(*at));
    known.map(|(_, provider)| provider.name.clone()).collect()
}

/// What the engine's thread writes and handles read.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    last: Option<Receipt>,
    failovers: Vec<StepFailover>,
    draft_lost: Option<String>,
}

impl Journal {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ran(&self, receipt: Receipt) {
        self.entries().last = Some(receipt);
    }

    pub(crate) fn failed(&self, failovers: &[StepFailover]) {
        self.entries().failovers.extend_from_slice(failovers);
    }

    pub(crate) fn lost_draft(&self, reason: String) {
        self.entries().draft_lost = Some(reason);
    }

    pub(crate) fn last_receipt(&self) -> Option<Receipt> {
        self.entries().last.clone()
    }

    pub(crate) fn failovers(&self) -> Vec<StepFailover> {
        self.entries().failovers.clone()
    }

    pub(crate) fn draft_lost(&self) -> Option<String> {
        self.entries().draft_lost.clone()
    }
}
