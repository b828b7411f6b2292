//! One job in flight and who is inside it.
//!
//! A slot lives as long as the pool; the job inside borrows from its caller's stack. A worker may
//! look at the job only between [`Slot::join`] and [`Slot::leave`], and a caller may take the job
//! away only when the slot is closed and empty: one word of state decides both.

use std::any::Any;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Most shares of a static schedule; more threads than that help with the shares of others.
pub(super) const MAX_SHARES: usize = 64;

/// Set in a slot's state while workers may join; the other bits count those inside.
const OPEN: u32 = 1 << 31;

/// What runs a chunk.
pub(super) type Body<'a> = &'a (dyn Fn(usize) + Sync);

/// A borrowed body with its lifetime erased, and into how many shares its chunks are cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// A pointer to a [`Body`].
    body: *const (),
    chunks: usize,
    shares: usize,
}

impl Job {
    pub(super) fn new(body: &Body<'_>, chunks: usize, shares: usize) -> Self {
        Self { body: std::ptr::from_ref(body).cast(), chunks, shares }
    }

    const fn idle() -> Self {
        Self { body: std::ptr::null(), chunks: 0, shares: 0 }
    }

    /// # Safety
    /// The body that it was made from still lives.
    unsafe fn call(&self, chunk: usize) {
        // SAFETY: `Self::new` took the pointer from such a reference, which the caller says is live.
        let body = unsafe { *self.body.cast::<Body<'_>>() };
        body(chunk);
    }

    fn share(&self, index: usize) -> Range<usize> {
        let start = |share: usize| share * self.chunks / self.shares;
        start(index)..start(index + 1)
    }
}

/// How many chunks of a share have been taken, alone on its cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Taken(AtomicUsize);

/// See the module documentation.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Slot {
    reserved: AtomicBool,
    state: AtomicU32,
    taken: [Taken; MAX_SHARES],
    job: UnsafeCell<Job>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is written only by the caller that reserved the slot while it is closed and empty,
// and read only by threads counted in `state`; the closure behind it is `Sync`.
unsafe impl Sync for Slot {}
// SAFETY: the pointers in `job` are never followed by the thread that owns the pool as such, only
// under the rule above.
unsafe impl Send for Slot {}

impl Default for Slot {
    fn default() -> Self {
        Self {
            reserved: AtomicBool::new(false),
            state: AtomicU32::new(0),
            taken: std::array::from_fn(|_| Taken::default()),
            job: UnsafeCell::new(Job::idle()),
            panic: Mutex::new(None),
        }
    }
}

impl Slot {
    /// Takes the slot for a caller, if it is free.
    pub(super) fn reserve(&self) -> bool {
        !self.reserved.load(Ordering::Relaxed) && !self.reserved.swap(true, Ordering::Acquire)
    }

    /// Gives the slot back.
    pub(super) fn release(&self) {
        self.reserved.store(false, Ordering::Release);
    }

    /// Lets workers in.
    ///
    /// # Safety
    /// The slot is reserved by this thread, and the closure behind `job` must live until the slot
    /// has been closed and found empty.
    pub(super) unsafe fn open(&self, job: Job) {
        // SAFETY: the slot is reserved and closed, so no other thread looks at the job.
        unsafe { *self.job.get() = job };
        *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = None;
        for taken in &self.taken[..job.shares] {
            taken.0.store(0, Ordering::Relaxed);
        }
        self.state.store(OPEN, Ordering::Release);
    }

    /// Lets no more workers in.
    pub(super) fn close(&self) {
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
    }

    /// Whether it is closed and the last worker has left.
    pub(super) fn is_empty(&self) -> bool {
        self.state.load(Ordering::SeqCst) == 0
    }

    /// Enters the slot if it is open.
    pub(super) fn join(&self) -> bool {
        let mut state = self.state.load(Ordering::Acquire);
        while state & OPEN != 0 {
            let entered = state + 1;
            match self.state.compare_exchange_weak(
                state,
                entered,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Leaves the slot; true for the last one out of a closed slot.
    pub(super) fn leave(&self) -> bool {
        self.state.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// Runs chunks until none is left: those of the thread's own share, then those of the others.
    ///
    /// # Safety
    /// The calling thread has joined the slot or is the one that opened it and has not closed it.
    pub(super) unsafe fn run(&self, thread: usize) {
        // SAFETY: the job is not written while the slot is open or a thread is inside.
        let job = unsafe { *self.job.get() };
        for share in (0..job.shares).map(|offset| (thread + offset) % job.shares) {
            let chunks = job.share(share);
            loop {
                let taken = self.taken[share].0.fetch_add(1, Ordering::Relaxed);
                if taken >= chunks.len() {
                    break;
                }
                // SAFETY: the closure lives until the slot is closed and empty.
                unsafe { job.call(chunks.start + taken) };
            }
        }
    }

    /// [`Self::run`], keeping the first panic for the caller.
    ///
    /// # Safety
    /// As for [`Self::run`].
    pub(super) unsafe fn run_caught(&self, thread: usize) {
        // SAFETY: passed on.
        let result = catch_unwind(AssertUnwindSafe(|| unsafe { self.run(thread) }));
        if let Err(panic) = result {
            let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(panic);
        }
    }

    /// Continues a worker's panic in the caller, if there was one.
    pub(super) fn resume_panic(&self) {
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            self.release();
            resume_unwind(panic);
        }
    }
}
