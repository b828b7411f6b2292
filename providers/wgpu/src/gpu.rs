//! The devices, and all that is done with them: memory, pipelines, submissions.
//!
//! wgpu tells of errors beside its calls: everything here that may fail is done within scopes that catch them
//! ([`Gpu::guarded`]), and what comes at another time is remembered, so that a lost device or a fault of a driver is
//! an error of the next call and never a panic.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use remuda_base::Map;
use remuda_sdk::Failure;

use crate::shaders::Kernel;

mod fault;
mod find;
mod memory;
mod pipelines;
mod pool;
mod wait;

use fault::Faults;
pub(crate) use find::{Found, find};
pub(crate) use memory::Memory;
pub(crate) use pipelines::Pipeline;
use pool::Pool;
use wait::block_on;

/// What a device can hold and launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that a kernel can see of one buffer.
    pub(crate) binding_bytes: u64,
    /// Bytes of one buffer.
    pub(crate) buffer_bytes: u64,
    /// Buffers of one kernel.
    pub(crate) bindings: usize,
    /// Where a kernel's view of a buffer may start.
    pub(crate) alignment: u64,
}

/// What every kernel may count on; a device without it is not used.
mod needed {
    pub(super) const BINDINGS: u32 = 8;
    pub(super) const INVOCATIONS: u32 = 256;
    pub(super) const SHARED_BYTES: u32 = 16 << 10;
}

/// Kernels count elements in 32 bits with a sign.
const COUNTED: u64 = i32::MAX as u64;

/// An open device.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: Limits,
    /// Whether its memory is the machine's.
    pub(crate) shares_host: bool,
    faults: Arc<Faults>,
    /// Bytes of all buffers.
    used: Arc<AtomicU64>,
    layouts: Mutex<Map<(usize, usize), pipelines::Layout>>,
    pipelines: Mutex<Map<Kernel, Arc<Pipeline>>>,
    pool: Pool,
}

/// Why an adapter cannot be used, or what it can do; kernels are to see so much of a buffer at most.
pub(crate) fn limits_of(adapter: &wgpu::Adapter, most: Option<u64>) -> Result<Limits, String> {
    let limits = adapter.limits();
    let flags = adapter.get_downlevel_capabilities().flags;
    if !flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Err("the adapter runs no compute shaders".to_owned());
    }
    let wanted = [
        ("buffers per kernel", limits.max_storage_buffers_per_shader_stage, needed::BINDINGS),
        (
            "invocations per workgroup",
            limits.max_compute_invocations_per_workgroup,
            needed::INVOCATIONS,
        ),
        (
            "bytes of memory per workgroup",
            limits.max_compute_workgroup_storage_size,
            needed::SHARED_BYTES,
        ),
    ];
    for (what, has, needs) in wanted {
        if has < needs {
            return Err(format!("the adapter has {has} {what}, expected {needs} at least"));
        }
    }
    Ok(Limits {
        binding_bytes: limits
            .max_storage_buffer_binding_size
            .min(most.unwrap_or(u64::MAX))
            .min(COUNTED)
            & !3,
        buffer_bytes: limits.max_buffer_size,
        bindings: limits.max_storage_buffers_per_shader_stage as usize,
        alignment: u64::from(limits.min_storage_buffer_offset_alignment.max(4)),
    })
}

impl Gpu {
    /// Opens a device; kernels are to see so much of a buffer at most.
    pub(crate) fn open(adapter: &wgpu::Adapter, most: Option<u64>) -> Result<Self, String> {
        let limits = limits_of(adapter, most)?;
        let asked = wgpu::DeviceDescriptor {
            label: Some("remuda"),
            required_limits: adapter.limits(),
            ..wgpu::DeviceDescriptor::default()
        };
        let opened = block_on(adapter.request_device(&asked));
        let (device, queue) = opened.map_err(|error| format!("it does not open: {error}"))?;
        let faults = Arc::new(Faults::default());
        faults.watch(&device);
        Ok(Self {
            device,
            queue,
            limits,
            shares_host: find::shares_host(&adapter.get_info()),
            faults,
            used: Arc::new(AtomicU64::new(0)),
            layouts: Mutex::new(Map::new()),
            pipelines: Mutex::new(Map::new()),
            pool: Pool::default(),
        })
    }

    /// Whether it was lost.
    pub(crate) fn lost(&self) -> Option<String> {
        self.faults.lost()
    }

    /// Does something, and says what went wrong in it.
    pub(crate) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failure> {
        self.faults.expect_alive()?;
        let filters = [
            wgpu::ErrorFilter::Validation,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Internal,
        ];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let made = work();
        let mut caught = None;
        // The last that began ends first.
        for scope in scopes.into_iter().rev() {
            if let Some(error) = block_on(scope.pop()) {
                caught = caught.or(Some(error));
            }
        }
        self.faults.expect_alive()?;
        match caught {
            None => Ok(made),
            Some(error) => Err(self.failure(&error)),
        }
    }

    fn failure(&self, error: &wgpu::Error) -> Failure {
        match error {
            wgpu::Error::OutOfMemory { .. } => Failure::OutOfMemory {
                needed: 0,
                free: self.free_bytes(),
                text: "the device has no memory left".to_owned(),
            },
            other => Failure::Internal(format!("wgpu refuses a call: {other}")),
        }
    }

    /// Waits until all that was submitted is done.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        loop {
            match self.device.poll(wgpu::PollType::wait_indefinitely()) {
                Ok(_) => return self.faults.expect_alive(),
                // Drivers are asked in steps: long work takes several.
                Err(wgpu::PollError::Timeout) => self.faults.expect_alive()?,
                Err(error) => return Err(Failure::DeviceLost(error.to_string())),
            }
        }
    }
}

#[cfg(test)]
impl Gpu {
    /// The first device that can be used.
    pub(crate) fn first() -> Option<Arc<Self>> {
        let found = find(None).ok()?;
        found.iter().find_map(|found| found.open().ok())
    }

    /// Runs one kernel on bytes.
    pub(crate) fn compute(
        &self,
        dispatch: &crate::shaders::Dispatch,
        inputs: &[&[u8]],
        output_bytes: &[usize],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let pipeline = self.pipeline(&dispatch.kernel)?;
        let params: Vec<u8> =
            dispatch.launch.params.iter().flat_map(|word| word.to_le_bytes()).collect();
        let upload = |bytes: &[u8]| {
            let memory = self.allocate(bytes.len() as u64)?;
            self.upload(&memory, 0, bytes)?;
            Ok(memory)
        };
        let mut buffers: Vec<Memory> =
            inputs.iter().map(|bytes| upload(bytes)).collect::<Result<_, Failure>>()?;
        let zeroed = output_bytes.iter().map(|&bytes| upload(&vec![0; bytes]));
        buffers.extend(zeroed.collect::<Result<Vec<_>, _>>()?);
        buffers.push(upload(&params)?);
        let bindings: Vec<_> = buffers.iter().map(|memory| (memory, 0, memory.bytes())).collect();
        let group = self.guarded(|| pipeline.bind(&self.device, &bindings))?;
        self.guarded(|| {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &group, &[]);
            let [x, y, z] = dispatch.launch.groups;
            pass.dispatch_workgroups(x, y, z);
            drop(pass);
            self.queue.submit([encoder.finish()]);
        })?;
        let outputs = buffers[inputs.len()..].iter().zip(output_bytes);
        outputs
            .map(|(memory, &bytes)| {
                let mut read = vec![0; bytes];
                self.download(memory, 0, &mut read)?;
                Ok(read)
            })
            .collect()
    }
}
