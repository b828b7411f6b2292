//! Parallel loops over parts of a slice, for kernels that need no unsafe code of their own.

use super::{Schedule, ThreadPool};

/// A pointer that threads may share because each of them touches its own part.
#[derive(Debug)]
pub(crate) struct Shared<T>(*mut T);

// SAFETY: a `Shared` is only a pointer; every dereference states why its part is not touched by
// another thread.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(pointer: *mut T) -> Self {
        Self(pointer)
    }

    pub(crate) fn pointer(&self) -> *mut T {
        self.0
    }
}

impl ThreadPool {
    /// Cuts `data` into pieces of `length` elements (the last may be shorter) and calls `body` with
    /// the index of each piece and the piece itself, in parallel.
    ///
    /// # Panics
    /// When `body` panics, or `length` is zero and `data` is not empty.
    pub fn parallel_pieces<T, F>(&self, data: &mut [T], length: usize, schedule: Schedule, body: F)
    where
        T: Send,
        F: Fn(usize, &mut [T]) + Sync,
    {
        let total = data.len();
        if total == 0 {
            return;
        }
        let shared = Shared::new(data.as_mut_ptr());
        self.parallel_for(total.div_ceil(length), schedule, |index| {
            let start = index * length;
            let count = length.min(total - start);
            // SAFETY: pieces of different indices do not overlap and lie within `data`, which is
            // borrowed mutably for the whole call; each index is passed once.
            let piece =
                unsafe { std::slice::from_raw_parts_mut(shared.pointer().add(start), count) };
            body(index, piece);
        });
    }
}
