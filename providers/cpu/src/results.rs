//! Memory of results, for the next run: a large one that the caller has let go comes back. Memory from the system
//! is slow to touch for the first time, slower than many a kernel writes to it. The programs of a provider share
//! what came back: what one part of a plan made serves the next.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use remuda_ir::Val;
use remuda_tensor::storage::AlignedBytes;
use remuda_tensor::{Memory, Tensor};

/// Results of fewer bytes are left to the allocator, which keeps such memory itself.
const WORTH_KEEPING: usize = 64 << 10;

/// No more than this is kept between runs.
const MOST_KEPT: usize = 256 << 20;

/// What came back since the last run.
#[derive(Debug, Default)]
pub(crate) struct Returned(Mutex<Blocks>);

#[derive(Debug, Default)]
struct Blocks {
    free: Vec<AlignedBytes>,
    free_bytes: usize,
    /// Bytes that the last run gave out; no more is kept, either.
    lent_bytes: usize,
}

impl Returned {
    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it.
    pub(crate) fn take(&self) -> Vec<AlignedBytes> {
        let mut blocks = self.lock();
        blocks.free_bytes = 0;
        std::mem::take(&mut blocks.free)
    }

    /// Has the memory of these results come back here, as far as nobody else holds it.
    pub(crate) fn lend(self: &Arc<Self>, results: Vec<Val>) -> Vec<Val> {
        let mut lent_bytes = 0;
        let lend = |result| match result {
            Val::Tensor(tensor) if tensor.byte_len() >= WORTH_KEEPING => {
                self.lent(tensor, &mut lent_bytes).into()
            }
            other => other,
        };
        let results = results.into_iter().map(lend).collect();
        self.lock().lent_bytes = lent_bytes;
        results
    }

    fn lent(self: &Arc<Self>, tensor: Tensor, lent_bytes: &mut usize) -> Tensor {
        let (dtype, dims) = (tensor.dtype(), tensor.dims().to_vec());
        let Some(bytes) = tensor.bytes() else { return tensor };
        let (start, len) = (bytes.as_ptr().addr(), bytes.len());
        let block = match tensor.reclaim() {
            Ok(block) => block,
            Err(tensor) => return tensor,
        };
        let start = start - block.bytes().as_ptr().addr();
        *lent_bytes += block.len();
        let (block, range) = (Some(block), start..start + len);
        let memory = Arc::new(Lent { block, range, home: Arc::downgrade(self) });
        Tensor::over_memory(dtype, dims, memory)
            .expect("these elements had these dimensions before")
    }

    /// Keeps a block if there is room. It does not wait: in a forked child whoever held the lock may be gone.
    fn give_back(&self, block: AlignedBytes) {
        let Ok(mut blocks) = self.0.try_lock() else { return };
        if blocks.free_bytes + block.len() <= blocks.lent_bytes.min(MOST_KEPT) {
            blocks.free_bytes += block.len();
            blocks.free.push(block);
        }
    }
}

/// A result, until the caller lets it go.
struct Lent {
    /// There until then.
    block: Option<AlignedBytes>,
    range: Range<usize>,
    home: Weak<Returned>,
}

impl Memory for Lent {
    fn bytes(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block.bytes()[self.range.clone()])
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.block.as_mut()?.bytes_mut().get_mut(self.range.clone())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(home), Some(block)) = (self.home.upgrade(), self.block.take()) {
            home.give_back(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Returned, WORTH_KEEPING};
    use remuda_ir::Val;
    use remuda_tensor::{DType, Tensor};
    use std::sync::Arc;

    fn result(bytes: usize) -> Val {
        Tensor::zeros(DType::U8, [bytes]).unwrap().into()
    }

    #[test]
    fn large_results_come_back_when_they_are_let_go() {
        let returned = Arc::new(Returned::default());
        let mut lent = returned.lend(vec![result(WORTH_KEEPING), result(10)]);
        assert!(returned.take().is_empty(), "the caller has them");
        let Val::Tensor(tensor) = &mut lent[0] else { panic!("a tensor") };
        assert_eq!(tensor.dims(), [WORTH_KEEPING]);
        assert!(tensor.is_unshared(), "the caller may write to it");
        drop(lent);
        assert_eq!(returned.take().len(), 1);
    }

    #[test]
    fn what_is_held_elsewhere_stays_there_and_no_more_is_kept_than_a_run_gives() {
        let returned = Arc::new(Returned::default());
        let shared = result(WORTH_KEEPING);
        drop(returned.lend(vec![shared.clone()]));
        assert!(returned.take().is_empty());
        let two = [0, 1].map(|_| returned.lend(vec![result(WORTH_KEEPING)]));
        drop(two);
        assert_eq!(returned.take().len(), 1);
        drop(shared);
    }

    #[test]
    fn results_outlive_who_made_them() {
        let returned = Arc::new(Returned::default());
        let lent = returned.lend(vec![result(WORTH_KEEPING)]);
        drop(returned);
        assert_eq!(lent, [result(WORTH_KEEPING)]);
    }
}
