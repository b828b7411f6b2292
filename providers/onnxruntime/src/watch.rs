//! Ends runs that the host no longer wants. ONNX Runtime is told, it does not ask: so one thread looks
//! at the flags of all runs under way, and sleeps while there are none.
#![expect(unsafe_code, reason = "looks at flags that are borrowed by runs under way")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::api::RunOptions;

/// How often flags are looked at.
const PERIOD: Duration = Duration::from_millis(2);
/// Looks without a run after which the thread sleeps until there is one.
const PATIENCE: u32 = 50;

/// The runs under way.
#[derive(Default)]
struct State {
    runs: Vec<Watch>,
    next: u64,
    /// Whether the thread waits to be woken.
    asleep: bool,
    closed: bool,
}

struct Watch {
    number: u64,
    /// Valid while the entry is in the list: [`Watched`] takes it out before the borrow ends.
    flag: *const AtomicBool,
    options: Arc<RunOptions>,
}

// SAFETY: the flag may be read from any thread.
unsafe impl Send for Watch {}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the flags of runs. Its thread ends with it.
pub(crate) struct Watcher(Arc<Shared>);

/// A run that is watched until this is dropped.
pub(crate) struct Watched<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Watcher {
    /// Starts the thread.
    pub(crate) fn new() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new()
            .name("remuda-ort-watch".to_owned())
            .spawn(move || look(&weak))?;
        Ok(Self(shared))
    }

    /// Ends the run of `options` once `flag` is set.
    pub(crate) fn watch<'a>(
        &'a self,
        flag: &'a AtomicBool,
        options: Arc<RunOptions>,
    ) -> Watched<'a> {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.runs.push(Watch { number, flag, options });
        if state.asleep {
            self.0.wake.notify_one();
        }
        Watched { shared: &self.0, number }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.shared.lock().runs.retain(|run| run.number != self.number);
    }
}

fn look(shared: &Weak<Shared>) {
    let mut idle = 0;
    while let Some(shared) = shared.upgrade() {
        let mut state = shared.lock();
        if state.closed {
            return;
        }
        for run in &state.runs {
            // SAFETY: entries are taken out of the list, under its lock, before the borrow ends.
            if unsafe { &*run.flag }.load(Ordering::Relaxed) {
                run.options.terminate();
            }
        }
        idle = if state.runs.is_empty() { idle + 1 } else { 0 };
        if idle < PATIENCE {
            drop(shared.wake.wait_timeout(state, PERIOD));
        } else {
            state.asleep = true;
            let mut state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
            idle = 0;
        }
    }
}
