//! Memory of one run, used again as soon as the value in it is dead.

use std::ops::RangeInclusive;

use remuda_base::Map;
use remuda_ir::{OpError, Val};
use remuda_kernels::Context;
use remuda_kernels::block::{Activations, Grain};
use remuda_tensor::storage::AlignedBytes;
use remuda_tensor::{DType, Tensor};

use crate::operands::Operands;

/// Free blocks by size, and how much memory is in use.
#[derive(Debug, Default)]
pub struct Arena {
    free: Map<usize, Vec<Free>>,
    /// How many runs it has served.
    runs: u64,
    /// Bytes of all blocks, free ones and those in use.
    held_bytes: usize,
    /// Rows that products share.
    operands: Operands,
}

/// A free block, and the run that used it last.
#[derive(Debug)]
struct Free {
    block: AlignedBytes,
    run: u64,
}

/// Blocks come in multiples of this.
const GRAIN: usize = 256;

/// The bytes of a block that holds so many.
pub(crate) fn block_bytes(bytes: usize) -> Option<usize> {
    bytes.max(1).checked_next_multiple_of(GRAIN)
}

/// The blocks that will do for one of `size` bytes: large enough, and not wastefully larger.
pub(crate) fn fitting(size: usize) -> RangeInclusive<usize> {
    size..=size.saturating_add(size / 2)
}

impl Arena {
    /// A tensor whose elements are to be written: they hold anything now.
    ///
    /// # Errors
    /// When the dimensions cannot be addressed or no memory can be had.
    pub fn tensor(&mut self, dtype: DType, dims: &[usize]) -> Result<Tensor, OpError> {
        if dtype == DType::String {
            return Ok(Tensor::zeros(dtype, dims)?);
        }
        let too_large = || {
            OpError::Resource(format!("no memory for a tensor of {dims:?} elements of `{dtype}`"))
        };
        let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        let bytes = count.and_then(|count| dtype.bytes_for(count)).ok_or_else(too_large)?;
        let block = self.block(bytes).ok_or_else(too_large)?;
        Ok(Tensor::from_aligned(dtype, dims, block)?)
    }

    /// The smallest free block that is large enough and not wastefully larger, or a new one.
    fn block(&mut self, bytes: usize) -> Option<AlignedBytes> {
        let size = block_bytes(bytes)?;
        if let Some((&found, blocks)) = self.free.range_mut(fitting(size)).next() {
            let free = blocks.pop();
            if blocks.is_empty() {
                self.free.remove(&found);
            }
            if let Some(Free { block, .. }) = free {
                return Some(block);
            }
        }
        let block = AlignedBytes::try_zeroed(size)?;
        self.held_bytes += size;
        Some(block)
    }

    /// Takes the memory of a dead value back, if nobody else holds it.
    pub fn reclaim(&mut self, val: Val) {
        let Val::Tensor(tensor) = val else { return };
        if let Ok(block) = tensor.reclaim() {
            self.keep(block, self.runs);
        }
    }

    /// Takes memory from elsewhere, which is freed at the end of the run that begins unless that uses it.
    pub(crate) fn offer(&mut self, block: AlignedBytes) {
        self.keep(block, self.runs.wrapping_sub(1));
    }

    fn keep(&mut self, block: AlignedBytes, run: u64) {
        self.free.entry(block.len()).or_default().push(Free { block, run });
    }

    /// The rows of a contiguous tensor, `depth` values each, ready to be multiplied.
    ///
    /// # Errors
    /// When it is no tensor of f32.
    pub(crate) fn operands(
        &mut self,
        cx: Context<'_>,
        grain: Grain,
        depth: usize,
        rows: &Tensor,
    ) -> Result<&Activations, OpError> {
        if let Some(before) = self.operands.replace(cx, grain, depth, rows)? {
            self.reclaim(before.into());
        }
        Ok(self.operands.activations())
    }

    /// Bytes of all blocks this arena has made and not lost to results.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Ends a run: frees the blocks that it did not use (those of reference kernels and of runs with
    /// other sizes would gather otherwise), and forgets what left as results.
    pub(crate) fn settle(&mut self) {
        if let Some(rows) = self.operands.forget() {
            self.reclaim(rows.into());
        }
        let run = self.runs;
        self.free.retain(|_, blocks| {
            blocks.retain(|free| free.run == run);
            !blocks.is_empty()
        });
        self.runs += 1;
        self.held_bytes = self.free.iter().map(|(size, blocks)| size * blocks.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;
    use remuda_tensor::DType;
    use remuda_tensor::storage::AlignedBytes;

    #[test]
    fn a_dead_value_gives_its_memory_to_the_next() {
        let mut arena = Arena::default();
        let first = arena.tensor(DType::F32, &[100]).unwrap();
        let held = arena.held_bytes();
        arena.reclaim(first.into());
        let second = arena.tensor(DType::F32, &[90]).unwrap();
        assert_eq!(arena.held_bytes(), held);
        let shared = second.clone();
        arena.reclaim(second.into());
        arena.tensor(DType::F32, &[100]).unwrap();
        assert!(arena.held_bytes() > held, "memory that somebody holds is not reused");
        drop(shared);
    }

    #[test]
    fn memory_that_a_run_does_not_use_is_freed_at_its_end() {
        let mut arena = Arena::default();
        for _ in 0..3 {
            // As a kernel does that makes its own memory.
            arena.reclaim(remuda_tensor::Tensor::zeros(DType::U8, [1000]).unwrap().into());
            let used = arena.tensor(DType::F32, &[100]).unwrap();
            arena.reclaim(used.into());
            arena.settle();
            assert_eq!(arena.held_bytes(), 1000 + 512);
        }
        arena.settle();
        assert_eq!(arena.held_bytes(), 0);
    }

    #[test]
    fn memory_that_is_offered_is_used_or_freed() {
        let mut arena = Arena::default();
        for _ in 0..2 {
            arena.offer(AlignedBytes::zeroed(512));
            arena.offer(AlignedBytes::zeroed(1 << 20));
            let used = arena.tensor(DType::F32, &[100]).unwrap();
            arena.reclaim(used.into());
            arena.settle();
            assert_eq!(arena.held_bytes(), 512);
        }
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let error = Arena::default().tensor(DType::F64, &[usize::MAX / 4, 2]).unwrap_err();
        assert!(error.to_string().starts_with("no memory for a tensor of"), "{error}");
    }
}
