//! Caches of a made-up device: the CPU's, counted against the device's memory and gone with it.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use remuda_cpu::{PagedCache, cache_bytes};
use remuda_sdk::ir::{OpError, State, StateRef, StateType};
use remuda_sdk::{Failure, StateRequest};

use crate::device::FakeDevice;

/// A cache of a made-up device.
struct FakeState {
    cache: StateRef,
    device: Arc<FakeDevice>,
    bytes: u64,
}

/// Makes a cache on a device.
pub(crate) fn create(
    device: &Arc<FakeDevice>,
    request: &StateRequest,
) -> Result<StateRef, Failure> {
    let StateRequest { ty, sequences, capacity } = request;
    let bytes = cache_bytes(ty, *sequences, *capacity)?;
    device.reserve(bytes)?;
    match PagedCache::shared(ty, *sequences, *capacity) {
        Ok(cache) => {
            let device = Arc::clone(device);
            Ok(StateRef(Arc::new(FakeState { cache, device, bytes })))
        }
        Err(error) => {
            device.give_back(bytes);
            Err(error.into())
        }
    }
}

impl Drop for FakeState {
    fn drop(&mut self) {
        self.device.give_back(self.bytes);
    }
}

impl FakeState {
    /// The cache, if the device lives through one more use of it.
    fn used(&self) -> Result<&StateRef, OpError> {
        self.device.next_cache_use()?;
        Ok(&self.cache)
    }
}

impl State for FakeState {
    fn ty(&self) -> &StateType {
        self.cache.ty()
    }

    fn length(&self, sequence: u32) -> Result<usize, OpError> {
        self.used()?.length(sequence)
    }

    fn truncate(&self, sequence: u32, length: usize) -> Result<(), OpError> {
        self.used()?.truncate(sequence, length)
    }

    fn copy(&self, from: u32, to: u32, length: usize) -> Result<(), OpError> {
        self.used()?.copy(from, to, length)
    }

    fn export(
        &self,
        sequence: u32,
        positions: Range<usize>,
        read: &mut dyn FnMut(&[f32]),
    ) -> Result<(), OpError> {
        self.used()?.export(sequence, positions, read)
    }

    fn append(&self, sequence: u32, positions: &[f32]) -> Result<(), OpError> {
        self.used()?.append(sequence, positions)
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The CPU's cache, which its kernels know.
    fn as_any(&self) -> &dyn Any {
        self.cache.as_any()
    }
}
