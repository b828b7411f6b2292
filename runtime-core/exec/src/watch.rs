//! Runs a part under a deadline: a provider that hangs is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use remuda_host::{Failure, Operand, RunOptions, StepTime};

use crate::call::with_states;
use crate::program::Part;
use crate::states::SharedState;

/// How often the caller's wish to end is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How a watched run ended.
pub(crate) enum Watched {
    /// In time.
    Ended(Result<Vec<Operand>, Failure>, Vec<StepTime>),
    /// The deadline passed. The run was asked to end; its thread may still be busy.
    TimedOut,
}

/// A part and what it runs on.
pub(crate) struct Job {
    pub(crate) part: Arc<Part>,
    pub(crate) inputs: Vec<Operand>,
    pub(crate) states: Vec<SharedState>,
}

/// Runs a part on a thread of its own, for at most so long.
pub(crate) fn run(
    job: Job,
    deadline: Duration,
    cancel: Option<&AtomicBool>,
    profile: bool,
) -> Watched {
    let flag = Arc::new(AtomicBool::new(false));
    let (send, receive) = channel();
    let theirs = Arc::clone(&flag);
    let spawned = std::thread::Builder::new().name("remuda part".to_owned()).spawn(move || {
        let steps = std::cell::RefCell::new(Vec::new());
        let report = |step| steps.borrow_mut().push(step);
        let profile: Option<&dyn Fn(StepTime)> = if profile { Some(&report) } else { None };
        let Job { part, inputs, states } = job;
        let result = with_states(&states, |states| {
            let options = RunOptions { cancel: Some(&theirs), profile, states };
            part.program.run_operands(&inputs, &options)
        });
        drop(states);
        // Nobody listens any more once the deadline has passed.
        drop(send.send((result, steps.into_inner())));
    });
    if let Err(error) = spawned {
        let failure = Failure::OutOfMemory { needed: 0, free: 0, text: error.to_string() };
        return Watched::Ended(Err(failure), Vec::new());
    }
    let end = Instant::now() + deadline;
    loop {
        if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            flag.store(true, Ordering::Relaxed);
        }
        let left = end.saturating_duration_since(Instant::now());
        match receive.recv_timeout(left.min(LOOK)) {
            Ok((result, steps)) => return Watched::Ended(result, steps),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                flag.store(true, Ordering::Relaxed);
                return Watched::TimedOut;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let failure = Failure::Internal("its thread ended without an answer".to_owned());
                return Watched::Ended(Err(failure), Vec::new());
            }
        }
    }
}
