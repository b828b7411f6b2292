//! Memory of the device, for providers that have memory of their own.

use std::ffi::c_void;

use remuda_abi::BufferHandle;
use remuda_host::{DeviceTensor, Failure};
use remuda_ops::{Random, random_tensor};
use remuda_tensor::DType;

use super::raw::{Instance, ended, need};
use crate::Outcome;
use crate::bench::{Bench, Verdict, told};

const NONE: &str = "it has no memory of its own";

/// What it says of its memory is possible.
pub(super) fn info(bench: &Bench, device: u32) -> Verdict {
    let bed = bench.device(device)?;
    let memory = bed.provider.memory(device).map_err(told("it does not tell of its memory"))?;
    if memory.free_bytes > memory.total_bytes {
        let (free, total) = (memory.free_bytes, memory.total_bytes);
        return Err(format!("{free} bytes are free of {total}"));
    }
    bed.provider.synchronize(device).map_err(told("it cannot be waited for"))?;
    Ok(Outcome::Passed)
}

/// What goes in comes out, also in pieces.
pub(super) fn round_trip(bench: &Bench, device: u32) -> Verdict {
    let bed = bench.device(device)?;
    if !bed.provider.has_device_memory() {
        return Ok(Outcome::NotTaken(NONE.to_owned()));
    }
    let buffer = bed.provider.allocate(device, 5000).map_err(told("it does not allocate"))?;
    let mut want: Vec<u8> = (0..=255).cycle().step_by(7).take(5000).collect();
    let failed = told("a copy fails");
    buffer.upload(0, &want).map_err(&failed)?;
    want[1001..1104].fill(9);
    buffer.upload(1001, &want[1001..1104]).map_err(&failed)?;
    buffer.upload(5000, &[]).map_err(&failed)?;
    for (start, end) in [(0, 5000), (1000, 1001), (999, 1105), (4999, 5000), (17, 17)] {
        let mut got = vec![0; end - start];
        buffer.download(start as u64, &mut got).map_err(&failed)?;
        if got != want[start..end] {
            return Err(format!("bytes {start} to {end} of a buffer came back changed"));
        }
    }
    Ok(Outcome::Passed)
}

/// A copy on the device is equal, and the first stays as it was.
pub(super) fn copy(bench: &Bench, device: u32) -> Verdict {
    let bed = bench.device(device)?;
    if !bed.provider.has_device_memory() || bench.table.raw().copy.is_none() {
        return Ok(Outcome::NotTaken("it does not offer copies on the device".to_owned()));
    }
    let tensor = random_tensor(&mut Random::new(5), DType::F32, &[31, 7]);
    let tensor = tensor.map_err(|error| error.to_string())?;
    let failed = told("a copy fails");
    let first = DeviceTensor::upload(&bed.provider, device, &tensor).map_err(&failed)?;
    let second = first.copy_to(device).map_err(&failed)?;
    for (what, copy) in [("first", first), ("second", second)] {
        let got = copy.to_host().map_err(&failed)?;
        if !got.same_bits(&tensor) {
            return Err(format!("after a copy on the device the {what} one is changed"));
        }
    }
    Ok(Outcome::Passed)
}

/// A buffer of the table, freed when it is dropped.
pub(super) struct Raw<'i>(&'i Instance, *mut BufferHandle);

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        if let Some(free) = self.0.table.free_buffer {
            // SAFETY: the handle came from the table and is freed once.
            unsafe { free(self.1) };
        }
    }
}

impl<'i> Raw<'i> {
    pub(super) fn new(instance: &'i Instance, device: u32, bytes: u64) -> Result<Self, Failure> {
        let allocate = need(instance.table.allocate, "allocate")?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the place is ours.
        ended(unsafe { allocate(instance.handle, device, bytes, 64, &raw mut handle) })?;
        Ok(Self(instance, handle))
    }

    pub(super) fn handle(&self) -> *mut BufferHandle {
        self.1
    }

    pub(super) fn download(&self, offset: u64, into: &mut [u8]) -> Result<(), Failure> {
        let call = need(self.0.table.download, "download")?;
        let (data, len) = (into.as_mut_ptr().cast::<c_void>(), into.len() as u64);
        // SAFETY: the buffer is alive; the bytes are ours.
        ended(unsafe { call(self.1, offset, data, len, std::ptr::null_mut()) })
    }

    pub(super) fn upload(&self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        let call = need(self.0.table.upload, "upload")?;
        let (data, len) = (data.as_ptr().cast::<c_void>(), data.len() as u64);
        // SAFETY: the buffer is alive; the bytes live during the call.
        ended(unsafe { call(self.1, offset, data, len, std::ptr::null_mut()) })
    }
}

/// Copies that reach beyond a buffer are refused.
pub(super) fn out_of_range(bench: &Bench, device: u32) -> Verdict {
    let instance = Instance::open(bench)?;
    if instance.table.allocate.is_none() {
        return Ok(Outcome::NotTaken(NONE.to_owned()));
    }
    let buffer = Raw::new(&instance, device, 256).map_err(told("it does not allocate"))?;
    for offset in [200, 256, 1 << 40, u64::MAX - 8] {
        let mut bytes = [0u8; 100];
        if buffer.upload(offset, &bytes).is_ok() || buffer.download(offset, &mut bytes).is_ok() {
            return Err(format!("it copies 100 bytes at {offset} of a buffer of 256"));
        }
    }
    Ok(Outcome::Passed)
}

/// Host memory that is used in place reads as what it holds.
pub(super) fn import(bench: &Bench, device: u32) -> Verdict {
    let instance = Instance::open(bench)?;
    let none = || Ok(Outcome::NotTaken("it does not use host memory in place".to_owned()));
    let Some(import) = instance.table.import_host else { return none() };
    let mut memory: Vec<u8> = (0..=255).cycle().step_by(3).take(4096).collect();
    let (data, mut handle) = (memory.as_mut_ptr().cast::<c_void>(), std::ptr::null_mut());
    // SAFETY: the memory outlives the buffer.
    match ended(unsafe { import(instance.handle, device, data, 4096, &raw mut handle) }) {
        Ok(()) => {}
        Err(Failure::Unsupported { .. }) => return none(),
        Err(failure) => return Err(format!("it does not use host memory in place: {failure}")),
    }
    let buffer = Raw(&instance, handle);
    let mut got = vec![0; 4096];
    buffer.download(0, &mut got).map_err(told("it cannot be read"))?;
    drop(buffer);
    if got == memory { Ok(Outcome::Passed) } else { Err("host memory reads otherwise".to_owned()) }
}
