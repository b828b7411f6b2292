//! Buffers of a device, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remuda_sdk::Failure;

use super::Gpu;

/// A buffer that kernels read and write.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) buffer: wgpu::Buffer,
    used: Arc<AtomicU64>,
}

impl Memory {
    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

/// Uploads of more than this go in parts, so that little is held twice.
const PART: usize = 8 << 20;

/// How long news may take from one thread to another.
const PASSED_ON: std::time::Duration = std::time::Duration::from_secs(60);

impl Gpu {
    /// Bytes that can still be had; 0 where the driver does not say.
    pub(crate) fn free_bytes(&self) -> u64 {
        if self.shares_host { remuda_base::memory::total_and_available().1 } else { 0 }
    }

    /// A buffer of at least so many bytes.
    pub(crate) fn allocate(&self, bytes: u64) -> Result<Memory, Failure> {
        self.buffer(
            bytes,
            wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
        )
    }

    /// A buffer that the host reads.
    pub(crate) fn staging(&self, bytes: u64) -> Result<Memory, Failure> {
        self.buffer(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> Result<Memory, Failure> {
        let size = bytes.max(4).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        if size > self.limits.buffer_bytes {
            let text = format!(
                "a buffer of {size} bytes: the device has buffers of {} at most",
                self.limits.buffer_bytes
            );
            return Err(Failure::Unsupported { node: None, text });
        }
        if self.shares_host && size > self.free_bytes().max(1) {
            let (needed, free) = (size, self.free_bytes());
            let text = "a buffer of the device".to_owned();
            return Err(Failure::OutOfMemory { needed, free, text });
        }
        let asked = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = match self.guarded(|| self.device.create_buffer(&asked)) {
            Err(Failure::OutOfMemory { .. }) if self.pool.clear() => {
                self.guarded(|| self.device.create_buffer(&asked))
            }
            other => other,
        };
        let buffer = buffer.map_err(|failure| match failure {
            Failure::OutOfMemory { free, text, .. } => {
                Failure::OutOfMemory { needed: size, free, text }
            }
            other => other,
        })?;
        self.used.fetch_add(size, Ordering::Relaxed);
        Ok(Memory { buffer, used: Arc::clone(&self.used) })
    }

    /// Writes bytes to a buffer; they are there for all that is submitted from now on.
    pub(crate) fn upload(&self, memory: &Memory, offset: u64, data: &[u8]) -> Result<(), Failure> {
        let align = usize::try_from(wgpu::COPY_BUFFER_ALIGNMENT).unwrap_or(1);
        let even = data.len() / align * align;
        let (body, rest) = data.split_at(even);
        let mut at = offset;
        for part in body.chunks(PART) {
            self.guarded(|| self.queue.write_buffer(&memory.buffer, at, part))?;
            at += part.len() as u64;
            if data.len() > PART {
                self.guarded(|| self.queue.submit([]))?;
                self.wait()?;
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = rest.to_vec();
        last.resize(align, 0);
        self.guarded(|| self.queue.write_buffer(&memory.buffer, at, &last))
    }

    /// Reads bytes of a buffer, after all that was submitted.
    pub(crate) fn download(
        &self,
        memory: &Memory,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Failure> {
        if into.is_empty() {
            return Ok(());
        }
        // Copies begin and end at whole words.
        let start = offset / wgpu::COPY_BUFFER_ALIGNMENT * wgpu::COPY_BUFFER_ALIGNMENT;
        let end = (offset + into.len() as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let staging = self.staging(end - start)?;
        self.guarded(|| {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&memory.buffer, start, &staging.buffer, 0, end - start);
            self.queue.submit([encoder.finish()]);
        })?;
        let skipped = usize::try_from(offset - start).unwrap_or(0);
        self.read(&staging, |bytes| {
            let wanted = bytes.get(skipped..skipped + into.len()).unwrap_or_default();
            into.copy_from_slice(wanted);
        })
    }

    /// Shows what a staging buffer holds once all that was submitted is done.
    pub(crate) fn read<T>(
        &self,
        staging: &Memory,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Failure> {
        let (tell, told) = std::sync::mpsc::channel();
        self.guarded(|| {
            staging.buffer.map_async(wgpu::MapMode::Read, .., move |mapped| {
                // Nobody listens any more where the wait failed.
                let _ = tell.send(mapped);
            });
        })?;
        self.wait()?;
        let lost = |why: String| Failure::DeviceLost(format!("results cannot be read: {why}"));
        // Another thread that waits may be the one that is told, and not have passed it on yet.
        match told.recv_timeout(PASSED_ON) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(lost(error.to_string())),
            Err(error) => return Err(lost(error.to_string())),
        }
        let view = staging.buffer.get_mapped_range(..).map_err(|error| lost(error.to_string()))?;
        let seen = look(&view);
        drop(view);
        staging.buffer.unmap();
        Ok(seen)
    }
}
