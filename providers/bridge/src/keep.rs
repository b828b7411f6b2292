//! Memory that raw pointers point into, kept until its owner is dropped.

use std::any::Any;

/// Owns slices at fixed addresses: as vectors that are never touched again, since to move a boxed slice would take
/// back every pointer into it.
#[derive(Default)]
pub(crate) struct Keep(Vec<Box<dyn Any + Send + Sync>>);

impl Keep {
    /// Keeps these items and says where they are.
    pub(crate) fn slice<T: Send + Sync + 'static>(&mut self, items: Vec<T>) -> *const T {
        let ptr = items.as_ptr();
        self.0.push(Box::new(items));
        ptr
    }
}

/// Raw structs of the contract, shared between threads by whoever keeps what they point to.
pub(crate) struct Plain<T>(pub(crate) T);

// SAFETY: the structs are plain data; what they point to is kept beside them and never written.
unsafe impl<T> Send for Plain<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Plain<T> {}

impl Keep {
    /// As [`Keep::slice`], for structs with raw pointers.
    pub(crate) fn structs<T: Copy + 'static>(&mut self, items: Vec<T>) -> *const T {
        let ptr = items.as_ptr();
        self.0.push(Box::new(Plain(items)));
        ptr
    }
}
