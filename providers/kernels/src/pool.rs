//! A pool of persistent threads with one operation: fork, run chunks, join.
//!
//! A kernel is short (microseconds), so waking a thread through the kernel of the operating system
//! for each one would cost more than the work. Workers therefore spin for about a millisecond after
//! their last job and only then sleep. The caller always works too, and never depends on a worker
//! arriving: several callers may share a pool, and a nested call runs inline.

#![expect(unsafe_code, reason = "a borrowed closure is handed to threads that outlive it")]

mod sleep;
mod slices;
mod slot;

use std::cell::Cell;
use std::sync::Arc;
use std::thread::JoinHandle;

use sleep::Sleepers;

pub(crate) use slices::Shared;
use slot::{Body, Job, Slot};

/// Jobs that can be in flight at once; a caller that finds all taken runs its chunks alone.
const SLOTS: usize = 8;

thread_local! {
    /// Whether this thread is running a chunk, so that a nested call must run inline.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// How chunks are dealt to threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Equal contiguous shares, the same share to the same thread on every call: the part of a
    /// weight that a core has in its cache is the part it works on. Whoever is done early helps the
    /// others.
    Static,
    /// One chunk at a time to whoever is free: for chunks of unequal cost.
    Dynamic,
}

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A pool needs its caller at least.
    #[error("expected a thread count of at least 1, got 0")]
    NoThreads,
    /// The operating system refused a thread.
    #[error("cannot start worker thread {index} of {count}")]
    Spawn {
        /// Which worker.
        index: usize,
        /// How many were wanted.
        count: usize,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// The threads. Dropping the pool ends them.
#[derive(Debug)]
pub struct ThreadPool {
    shared: Arc<State>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    slots: [Slot; SLOTS],
    sleepers: Sleepers,
}

impl ThreadPool {
    /// A pool in which `threads` threads work on a job, the caller among them.
    ///
    /// # Errors
    /// When `threads` is zero or the system refuses to start one.
    pub fn new(threads: usize) -> Result<Self, PoolError> {
        let count = threads.checked_sub(1).ok_or(PoolError::NoThreads)?;
        let shared = Arc::new(State { slots: Default::default(), sleepers: Sleepers::default() });
        let mut pool = Self { shared, workers: Vec::with_capacity(count) };
        for index in 1..=count {
            let shared = Arc::clone(&pool.shared);
            let worker = std::thread::Builder::new()
                .name(format!("remuda-kernels-{index}"))
                .spawn(move || shared.work(index))
                .map_err(|source| PoolError::Spawn { index, count, source })?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// A pool of the caller alone: every job runs inline.
    #[must_use]
    pub fn single() -> Self {
        let shared = Arc::new(State { slots: Default::default(), sleepers: Sleepers::default() });
        Self { shared, workers: Vec::new() }
    }

    /// How many threads work on a job, the caller included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body` once for every chunk in `0..chunks`, on the threads of the pool, and returns
    /// when all calls have returned.
    ///
    /// # Panics
    /// When `body` panics, with its message, after the other threads have stopped.
    pub fn parallel_for<F>(&self, chunks: usize, schedule: Schedule, body: F)
    where
        F: Fn(usize) + Sync,
    {
        self.share_out(chunks, schedule, &body);
    }

    /// [`Self::parallel_for`], compiled once.
    fn share_out(&self, chunks: usize, schedule: Schedule, body: Body<'_>) {
        match self.slot_for(chunks) {
            Some(slot) => self.fork_join(slot, chunks, schedule, &body),
            None => (0..chunks).for_each(body),
        }
    }

    /// A slot for a job of so many chunks, unless it must or had better run inline.
    fn slot_for(&self, chunks: usize) -> Option<&Slot> {
        if chunks < 2 || self.workers.is_empty() || INSIDE.get() {
            return None;
        }
        self.shared.slots.iter().find(|slot| slot.reserve())
    }

    fn fork_join(&self, slot: &Slot, chunks: usize, schedule: Schedule, body: &Body<'_>) {
        let shares = match schedule {
            Schedule::Static => chunks.min(self.size()).min(slot::MAX_SHARES),
            Schedule::Dynamic => 1,
        };
        let helpers = self.workers.len().min(chunks - 1);
        let finish = Finish { slot, sleepers: &self.shared.sleepers };
        // SAFETY: `finish` closes the slot and waits until no worker is inside it before this call
        // returns or unwinds, so the job's borrow of `body` outlives every use.
        unsafe { slot.open(Job::new(body, chunks, shares)) };
        self.shared.sleepers.announce(helpers);
        let inside = Inside::enter();
        // SAFETY: the slot was opened above and is closed by `finish`, later.
        unsafe { slot.run(0) };
        drop(inside);
        drop(finish);
        slot.resume_panic();
        slot.release();
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.sleepers.stop();
        for worker in self.workers.drain(..) {
            // A worker catches every panic of a body, so there is no result to look at.
            let _ = worker.join();
        }
    }
}

impl State {
    fn work(&self, index: usize) {
        let _inside = Inside::enter();
        while let Some(seen) = self.sleepers.epoch() {
            for slot in &self.slots {
                if slot.join() {
                    // SAFETY: this thread has joined the slot, so it stays valid until `leave`.
                    unsafe { slot.run_caught(index) };
                    if slot.leave() {
                        self.sleepers.signal_done();
                    }
                }
            }
            self.sleepers.wait_for_work(seen);
        }
    }
}

/// Closes a job when its caller is done or unwinds, and waits for the workers inside.
struct Finish<'a> {
    slot: &'a Slot,
    sleepers: &'a Sleepers,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.slot.close();
        self.sleepers.wait_done(|| self.slot.is_empty());
        if std::thread::panicking() {
            self.slot.release();
        }
    }
}

/// Marks the thread as running chunks for as long as it lives.
struct Inside {
    before: bool,
}

impl Inside {
    fn enter() -> Self {
        Self { before: INSIDE.replace(true) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.before);
    }
}

#[cfg(test)]
mod tests;
