//! Buffers of a made-up device: memory of their own, counted against the device's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remuda_sdk::tensor::{DType, Memory, Tensor, TensorError};
use remuda_sdk::{Allocator, Buffer, DeviceTensor, Failure};

use crate::device::FakeDevice;

/// Memory of a made-up device.
pub(crate) struct FakeBuffer {
    device: Arc<FakeDevice>,
    /// The bytes. A tensor, so that a run may read them while they are replaced.
    content: Mutex<Tensor>,
    bytes: u64,
}

/// Makes buffers of one device.
#[derive(Debug)]
pub(crate) struct FakeAllocator(pub(crate) Arc<FakeDevice>);

fn failed(error: &TensorError) -> Failure {
    Failure::Internal(error.to_string())
}

impl FakeBuffer {
    /// A buffer with this content, which is charged to the device.
    pub(crate) fn new(device: &Arc<FakeDevice>, content: Tensor) -> Result<Self, Failure> {
        let bytes = content.byte_len() as u64;
        device.reserve(bytes)?;
        Ok(Self { device: Arc::clone(device), content: Mutex::new(content), bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Tensor> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tensor over the bytes at `offset`, which later uploads do not change.
    pub(crate) fn view(&self, tensor: &DeviceTensor) -> Result<Tensor, Failure> {
        let range = |offset: u64, len: u64| {
            let start = usize::try_from(offset).ok()?;
            Some(start..start.checked_add(usize::try_from(len).ok()?)?)
        };
        let range = range(tensor.offset, tensor.byte_len()?)
            .ok_or_else(|| Failure::Invalid("a tensor lies outside its buffer".to_owned()))?;
        let memory = Arc::new(View { bytes: self.lock().clone(), range });
        Tensor::from_memory(tensor.dtype, tensor.dims.clone(), memory).map_err(|e| failed(&e))
    }
}

impl Drop for FakeBuffer {
    fn drop(&mut self) {
        self.device.give_back(self.bytes);
    }
}

struct View {
    bytes: Tensor,
    range: std::ops::Range<usize>,
}

impl Memory for View {
    fn bytes(&self) -> &[u8] {
        self.bytes.bytes().and_then(|bytes| bytes.get(self.range.clone())).unwrap_or(&[])
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Buffer for FakeBuffer {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn upload(&self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        self.device.check_alive()?;
        self.device.copy_takes(data.len() as u64);
        self.device.meet_a_run(data.len() as u64)?;
        let mut content = self.lock();
        if content.bytes_mut().is_none() {
            let own =
                Tensor::from_bytes(DType::U8, [content.len()], content.bytes().unwrap_or(&[]));
            *content = own.map_err(|error| failed(&error))?;
        }
        let start = place(offset);
        let into = content.bytes_mut().and_then(|bytes| bytes.get_mut(start..start + data.len()));
        into.ok_or_else(|| Failure::Invalid("an upload lies outside its buffer".to_owned()))?
            .copy_from_slice(data);
        Ok(())
    }

    fn download(&self, offset: u64, into: &mut [u8]) -> Result<(), Failure> {
        self.device.check_alive()?;
        self.device.copy_takes(into.len() as u64);
        let content = self.lock();
        let start = place(offset);
        let from = content.bytes().and_then(|bytes| bytes.get(start..start + into.len()));
        into.copy_from_slice(
            from.ok_or_else(|| Failure::Invalid("a download lies outside its buffer".to_owned()))?,
        );
        Ok(())
    }
}

impl Allocator for FakeAllocator {
    fn allocate(&self, bytes: u64, _align: u64) -> Result<Arc<dyn Buffer>, Failure> {
        let too_much = || Failure::OutOfMemory {
            needed: bytes,
            free: self.0.free(),
            text: "a buffer".to_owned(),
        };
        if bytes > self.0.config.memory {
            return Err(too_much());
        }
        let zeros = Tensor::zeros(DType::U8, [usize::try_from(bytes).map_err(|_| too_much())?]);
        Ok(Arc::new(FakeBuffer::new(&self.0, zeros.map_err(|error| failed(&error))?)?))
    }
}
