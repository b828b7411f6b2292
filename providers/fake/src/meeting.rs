//! Runs that wait for each other: they end well only if somebody runs them at the same time.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The longest that a run waits for others, so that no test waits forever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the runs of all devices meet.
#[derive(Debug, Default)]
pub(crate) struct Meeting {
    state: Mutex<State>,
    complete: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    /// How many meetings have taken place.
    held: u64,
}

impl Meeting {
    /// Waits until `wanted` runs are here. Gives whether they came.
    pub(crate) fn wait(&self, wanted: usize) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        if state.waiting >= wanted {
            (state.waiting, state.held) = (0, state.held + 1);
            self.complete.notify_all();
            return true;
        }
        let own = state.held;
        let waited = self.complete.wait_timeout_while(state, PATIENCE, |state| state.held == own);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let met = state.held != own;
        if !met {
            state.waiting -= 1;
        }
        met
    }
}
