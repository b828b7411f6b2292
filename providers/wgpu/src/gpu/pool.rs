//! Buffers that nobody uses just now.

use std::sync::{Mutex, PoisonError};

use remuda_sdk::Failure;

use super::{Gpu, Memory};

/// Bytes that are kept for later.
const MOST_BYTES: u64 = 256 << 20;

/// Idle buffers.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Memory>>);

impl Pool {
    /// Frees them all; whether there were any.
    pub(super) fn clear(&self) -> bool {
        let idle = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        !idle.is_empty()
    }

    /// The smallest that is large enough and not much larger.
    fn take(&self, bytes: u64) -> Option<Memory> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |memory: &Memory| (bytes..=bytes.saturating_mul(2)).contains(&memory.bytes());
        let fitting = idle.iter().enumerate().filter(|(_, memory)| fits(memory));
        let (at, _) = fitting.min_by_key(|(_, memory)| memory.bytes())?;
        Some(idle.swap_remove(at))
    }
}

impl Gpu {
    /// A buffer from the pool, or a new one. What it holds does not matter.
    pub(crate) fn borrow(&self, bytes: u64) -> Result<Memory, Failure> {
        match self.pool.take(bytes.max(4)) {
            Some(memory) => Ok(memory),
            None => self.allocate(bytes),
        }
    }

    /// Gives a buffer to whoever needs one next.
    pub(crate) fn give_back(&self, memory: Memory) {
        let mut idle = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held: u64 = idle.iter().map(Memory::bytes).sum();
        if held + memory.bytes() <= MOST_BYTES {
            idle.push(memory);
        }
    }
}
