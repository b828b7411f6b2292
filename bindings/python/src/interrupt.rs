//! Work that Ctrl-C can end.
//!
//! Python tells the main thread alone of signals, between two of its own instructions. So while the
//! main thread waits here for signals, the work goes on in a thread beside it; other threads do their
//! work themselves. So does the main thread with work that is known to be short: going to another core and back
//! costs more than a small network.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::error::internal;

/// How long a pressed Ctrl-C may go unnoticed.
const NOTICE: Duration = Duration::from_millis(20);

type Job = Box<dyn FnOnce() + Send>;

/// The thread beside the main thread, kept from one call to the next: kernels keep scratch memory per
/// thread. A forked child has none and starts its own.
struct Worker {
    process: u32,
    jobs: Sender<Job>,
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// How long work of one kind took last, to tell whether it will be short.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Option<(u64, Duration)>>);

impl Pace {
    fn last(&self) -> MutexGuard<'_, Option<(u64, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_short(&self, kind: u64) -> bool {
        self.last().is_some_and(|(last, took)| last == kind && took < NOTICE / 2)
    }

    /// As [`run`], for work that takes about as long as the last of its kind did that went well. Signals are
    /// seen behind what is short.
    pub(crate) fn run<T, E, F>(&self, py: Python<'_>, kind: u64, work: F) -> PyResult<Result<T, E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&AtomicBool) -> Result<T, E> + Send + 'static,
    {
        let started = Instant::now();
        let made = if self.is_short(kind) {
            let made = py.detach(|| work(&AtomicBool::new(false)));
            py.check_signals().map(|()| made)
        } else {
            run(py, work)
        };
        *self.last() = matches!(made, Ok(Ok(_))).then(|| (kind, started.elapsed()));
        made
    }
}

/// Runs `work` without holding up other Python threads. In the main thread a signal whose handler
/// raises sets the flag that `work` is given, and what it raised is the result.
pub(crate) fn run<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: FnOnce(&AtomicBool) -> T + Send + 'static,
{
    let cancel = Arc::new(AtomicBool::new(false));
    if !is_main_thread(py)? {
        return Ok(py.detach(|| work(&cancel)));
    }
    let (done, result) = channel();
    let flag = Arc::clone(&cancel);
    let job = Box::new(move || {
        // The receiver waits for this; it cannot be gone.
        let _ = done.send(work(&flag));
    });
    if !submit(job) {
        return Err(internal(py, "no thread can be started for the run"));
    }
    wait(py, &Mutex::new(result), &cancel)
}

fn wait<T: Send>(py: Python<'_>, result: &Mutex<Receiver<T>>, cancel: &AtomicBool) -> PyResult<T> {
    let next = || match result.lock() {
        Ok(result) => result.recv_timeout(NOTICE),
        Err(_) => Err(RecvTimeoutError::Disconnected),
    };
    loop {
        match py.detach(next) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => return Err(internal(py, "a run panicked")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(raised) = py.check_signals() {
            cancel.store(true, Ordering::Relaxed);
            // The run ends at its next step; what it holds is let go before anybody goes on.
            while matches!(py.detach(next), Err(RecvTimeoutError::Timeout)) {}
            return Err(raised);
        }
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(pyo3::intern!(py, "threading"))?;
    let main = threading.call_method0(pyo3::intern!(py, "main_thread"))?;
    let main = main.getattr(pyo3::intern!(py, "ident"))?;
    main.eq(threading.call_method0(pyo3::intern!(py, "get_ident"))?)
}

fn submit(job: Job) -> bool {
    WORKER.with_borrow_mut(|worker| {
        let process = std::process::id();
        let running = worker.take().filter(|running| running.process == process);
        let Some(running) = running.or_else(|| start(process)) else { return false };
        let sent = running.jobs.send(job).is_ok();
        *worker = sent.then_some(running);
        sent
    })
}

fn start(process: u32) -> Option<Worker> {
    let (jobs, inbox) = channel::<Job>();
    let serve = move || {
        for job in inbox {
            // A panic ends the job alone: its caller sees that no result comes.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        }
    };
    std::thread::Builder::new().name("remuda-run".to_owned()).spawn(serve).ok()?;
    Some(Worker { process, jobs })
}
