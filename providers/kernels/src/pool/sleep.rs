//! How threads of the pool wait: spinning first, then asleep.
//!
//! Every publication raises an epoch. A worker remembers the epoch it saw before it looked for work
//! and sleeps only while that epoch holds, so no publication is missed.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Pauses before a waiting thread sleeps, about a millisecond: bounded, because a thread that
/// spins while its peer is descheduled takes away the very core the peer needs.
const SPINS: u32 = 20_000;

#[derive(Debug, Default)]
pub(super) struct Sleepers {
    epoch: AtomicU64,
    stopped: AtomicBool,
    asleep: AtomicUsize,
    work_lock: Mutex<()>,
    work: Condvar,
    waiting_callers: AtomicUsize,
    done_lock: Mutex<()>,
    done: Condvar,
}

impl Sleepers {
    /// The current epoch, or nothing once the pool ends.
    pub(super) fn epoch(&self) -> Option<u64> {
        let epoch = self.epoch.load(SeqCst);
        (!self.stopped.load(SeqCst)).then_some(epoch)
    }

    /// Says that there is work for `helpers` workers.
    pub(super) fn announce(&self, helpers: usize) {
        self.epoch.fetch_add(1, SeqCst);
        let asleep = self.asleep.load(SeqCst);
        if asleep == 0 {
            return;
        }
        // Taking the lock orders this after a worker that is about to wait.
        drop(lock(&self.work_lock));
        if helpers >= asleep {
            self.work.notify_all();
        } else {
            (0..helpers).for_each(|_| self.work.notify_one());
        }
    }

    /// Ends every worker once it has nothing to do.
    pub(super) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        self.announce(usize::MAX);
    }

    /// Returns when the epoch is no longer `seen`.
    pub(super) fn wait_for_work(&self, seen: u64) {
        if spin_until(|| self.epoch.load(Ordering::Acquire) != seen) {
            return;
        }
        let mut guard = lock(&self.work_lock);
        self.asleep.fetch_add(1, SeqCst);
        while self.epoch.load(SeqCst) == seen {
            guard = self.work.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, SeqCst);
    }

    /// Returns when `is_done` holds; whoever makes it hold calls [`Self::signal_done`].
    pub(super) fn wait_done(&self, is_done: impl Fn() -> bool) {
        if spin_until(&is_done) {
            return;
        }
        let mut guard = lock(&self.done_lock);
        self.waiting_callers.fetch_add(1, SeqCst);
        while !is_done() {
            guard = self.done.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting_callers.fetch_sub(1, SeqCst);
    }

    /// Wakes callers that wait for the end of their job.
    pub(super) fn signal_done(&self) {
        if self.waiting_callers.load(SeqCst) > 0 {
            drop(lock(&self.done_lock));
            self.done.notify_all();
        }
    }
}

fn spin_until(ready: impl Fn() -> bool) -> bool {
    for _ in 0..SPINS {
        if ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
