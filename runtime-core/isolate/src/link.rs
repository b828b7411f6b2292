//! The line to a worker: one call at a time, and what becomes of it when the worker is gone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use remuda_bridge::Failure;
use remuda_host::process::{Heard, Prober, Worker, how_it_ended};

use crate::message::{Answered, Call, Line, Opening, Reply};
use crate::{JOB, share};

/// How often a waiting call looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(10);
/// How long a call may take that nobody can call off: drivers of accelerators take seconds to open.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker may take to end a call that is no longer wanted.
const GRACE: Duration = Duration::from_secs(5);

/// The line to a worker.
#[derive(Debug)]
pub(crate) struct Link {
    worker: Mutex<Worker>,
    /// How the worker was lost.
    fate: OnceLock<String>,
    process: u32,
    next: AtomicU64,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.worker.get_mut().unwrap_or_else(PoisonError::into_inner).end();
        share::clear(self.process);
    }
}

impl Link {
    /// Starts a worker that opens a provider; gives its first answer.
    pub(crate) fn open(prober: &Prober, opening: &Opening) -> Result<(Self, Reply), Failure> {
        let worker = Worker::start(prober, JOB, opening).map_err(|error| {
            let program = prober.program.display();
            Failure::Internal(format!("the worker `{program}` cannot be started: {error}"))
        })?;
        let (process, next) = (worker.process(), AtomicU64::new(1));
        let link = Self { worker: Mutex::new(worker), fate: OnceLock::new(), process, next };
        let end = Instant::now() + PATIENCE;
        let reply = link.answer(&mut link.lock(), 0, None, Some(end))?;
        Ok((link, reply))
    }

    /// How the worker was lost, if it was.
    pub(crate) fn fate(&self) -> Option<&str> {
        self.fate.get().map(String::as_str)
    }

    fn lock(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the worker do something.
    pub(crate) fn call(&self, call: Call, cancel: Option<&AtomicBool>) -> Result<Reply, Failure> {
        let mut worker = self.lock();
        if let Some(fate) = self.fate() {
            return Err(Failure::DeviceLost(fate.to_owned()));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // A worker that is gone does not listen; that is heard below.
        let _ = worker.send(&Line::Call(number, call));
        let end = cancel.is_none().then(|| Instant::now() + PATIENCE);
        self.answer(&mut worker, number, cancel, end)
    }

    /// As [`Link::call`], where nothing but the end of the call is of interest.
    pub(crate) fn done(&self, call: Call) -> Result<(), Failure> {
        self.call(call, None).map(|_| ())
    }

    fn answer(
        &self,
        worker: &mut Worker,
        number: u64,
        cancel: Option<&AtomicBool>,
        mut deadline: Option<Instant>,
    ) -> Result<Reply, Failure> {
        loop {
            match worker.hear::<Answered>(Instant::now() + LOOK) {
                Heard::Line(Answered { call, reply }) if call == number => {
                    return match reply {
                        Reply::Failed(failure) => Err(failure.into()),
                        reply => Ok(reply),
                    };
                }
                Heard::Line(_) => {}
                Heard::Ended(status) => {
                    let words = worker.last_words();
                    let words =
                        if words.is_empty() { words } else { format!("; its last words: {words}") };
                    return Err(
                        self.lose(format!("its process ended: {}{words}", how_it_ended(status)))
                    );
                }
                Heard::Late => {}
            }
            match deadline {
                None if cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) => {
                    let _ = worker.send(&Line::Cancel(number));
                    deadline = Some(Instant::now() + GRACE);
                }
                Some(end) if Instant::now() >= end => {
                    worker.end();
                    return Err(self.lose("its process hung and was ended".to_owned()));
                }
                _ => {}
            }
        }
    }

    fn lose(&self, fate: String) -> Failure {
        share::clear(self.process);
        Failure::DeviceLost(self.fate.get_or_init(|| fate).clone())
    }
}

/// An answer that does not belong to the question.
pub(crate) fn astray(reply: &Reply) -> Failure {
    Failure::Internal(format!("its worker answered something else: {reply:?}"))
}
