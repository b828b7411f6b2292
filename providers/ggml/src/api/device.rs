//! Devices, and what computes on them.

use std::ffi::{CString, c_int};
use std::ptr::NonNull;

use super::context::T;
use super::memory::BufferKind;
use super::raw::{Cancelled, PoolParams, Raw};
use super::{Library, read_text};

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceClass {
    Cpu,
    Gpu,
    /// It helps another device and cannot be used alone.
    Helper,
}

/// A device of ggml. Its handle lives as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct RawDevice {
    pub(crate) library: &'static Library,
    raw: NonNull<std::ffi::c_void>,
}

// SAFETY: a device is only read after it was registered.
unsafe impl Send for RawDevice {}
// SAFETY: as above.
unsafe impl Sync for RawDevice {}

impl std::fmt::Debug for RawDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Library {
    /// The devices of all backends that were loaded.
    pub(crate) fn devices(&'static self) -> Vec<RawDevice> {
        // SAFETY: no arguments.
        let count = unsafe { (self.raw.ggml_backend_dev_count)() };
        let device = |at: usize| {
            // SAFETY: an index below the count.
            let raw = unsafe { (self.raw.ggml_backend_dev_get)(at) };
            NonNull::new(raw).map(|raw| RawDevice { library: self, raw })
        };
        (0..count).filter_map(device).collect()
    }
}

impl RawDevice {
    pub(super) fn raw(&self) -> Raw {
        self.raw.as_ptr()
    }

    /// Its name: `CPU`, `CUDA0`.
    pub(crate) fn name(&self) -> String {
        // SAFETY: a device; the text is static.
        unsafe { read_text((self.library.raw.ggml_backend_dev_name)(self.raw())) }
    }

    /// What it is, for people.
    pub(crate) fn description(&self) -> String {
        // SAFETY: a device; the text lives as long as it.
        unsafe { read_text((self.library.raw.ggml_backend_dev_description)(self.raw())) }
    }

    /// The backend that it is of: `CPU`, `CUDA`.
    pub(crate) fn backend(&self) -> String {
        // SAFETY: a device, and the registry entry that it is of.
        unsafe { read_text((self.library.raw.ggml_backend_reg_name)(self.registry())) }
    }

    pub(crate) fn class(&self) -> DeviceClass {
        // SAFETY: a device.
        match unsafe { (self.library.raw.ggml_backend_dev_type)(self.raw()) } {
            0 => DeviceClass::Cpu,
            1 | 2 => DeviceClass::Gpu,
            _ => DeviceClass::Helper,
        }
    }

    /// Free bytes and all bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let (mut free, mut total) = (0, 0);
        // SAFETY: two places to be written.
        unsafe {
            (self.library.raw.ggml_backend_dev_memory)(self.raw(), &raw mut free, &raw mut total);
        }
        (free as u64, total as u64)
    }

    fn registry(&self) -> Raw {
        // SAFETY: a device.
        unsafe { (self.library.raw.ggml_backend_dev_backend_reg)(self.raw()) }
    }

    /// A function that only some backends have, as an address.
    fn extra(&self, name: &str) -> Option<NonNull<std::ffi::c_void>> {
        let name = CString::new(name).ok()?;
        // SAFETY: a registry entry and a text that lives during the call.
        let raw = unsafe {
            (self.library.raw.ggml_backend_reg_get_proc_address)(self.registry(), name.as_ptr())
        };
        NonNull::new(raw)
    }

    /// Whether it can compute what `t` was made by.
    pub(crate) fn supports(&self, t: T) -> bool {
        // SAFETY: a device and a tensor.
        unsafe { (self.library.raw.ggml_backend_dev_supports_op)(self.raw(), t.raw()) }
    }

    /// Its own kind of memory.
    pub(crate) fn memory_kind(&self) -> Option<BufferKind> {
        // SAFETY: a device.
        let raw = unsafe { (self.library.raw.ggml_backend_dev_buffer_type)(self.raw()) };
        NonNull::new(raw).map(|raw| BufferKind::new(self.library, raw))
    }

    /// Kinds of memory that lay weights out for certain products.
    pub(crate) fn packing_kinds(&self) -> Vec<BufferKind> {
        type Extra = unsafe extern "C" fn(Raw) -> *const Raw;
        let Some(address) = self.extra("ggml_backend_dev_get_extra_bufts") else {
            return Vec::new();
        };
        // SAFETY: ggml declares the function of this name so.
        let list = unsafe { std::mem::transmute::<Raw, Extra>(address.as_ptr()) };
        // SAFETY: a device of the backend that the function is of.
        let mut at = unsafe { list(self.raw()) };
        let mut kinds = Vec::new();
        // SAFETY: the list ends in a null, which is looked at before the next step.
        while let Some(raw) = unsafe { at.as_ref() }.copied().and_then(NonNull::new) {
            kinds.push(BufferKind::new(self.library, raw));
            // SAFETY: the entry was not the last one.
            at = unsafe { at.add(1) };
        }
        kinds
    }

    /// Starts something that computes on it, with so many threads if it is the CPU.
    pub(crate) fn engine(&self, threads: usize) -> Option<Engine> {
        // SAFETY: a device and no parameters.
        let raw = unsafe { (self.library.raw.ggml_backend_dev_init)(self.raw(), std::ptr::null()) };
        let raw = NonNull::new(raw)?;
        let threads = c_int::try_from(threads.clamp(1, 512)).unwrap_or(1);
        let mut engine = Engine { device: *self, raw, threads, set_threads: None, pool: None };
        engine.find_set_threads();
        engine.make_pool();
        Some(engine)
    }
}

type SetThreads = unsafe extern "C" fn(Raw, c_int);

/// Computes on a device, one graph at a time.
pub(crate) struct Engine {
    pub(super) device: RawDevice,
    raw: NonNull<std::ffi::c_void>,
    /// The most threads that may be used.
    threads: c_int,
    set_threads: Option<SetThreads>,
    /// Its threads, on the CPU.
    pool: Option<NonNull<std::ffi::c_void>>,
}

// SAFETY: it is used by one thread at a time, whichever.
unsafe impl Send for Engine {}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({:?})", self.device)
    }
}

impl Engine {
    pub(super) fn raw(&self) -> Raw {
        self.raw.as_ptr()
    }

    fn find_set_threads(&mut self) {
        self.set_threads = self.device.extra("ggml_backend_set_n_threads").map(|address| {
            // SAFETY: ggml declares the function of this name so.
            unsafe { std::mem::transmute::<Raw, SetThreads>(address.as_ptr()) }
        });
    }

    /// Lets a run with so much work use as many threads as are worth it: they wait for each other
    /// between any two operators.
    pub(super) fn spread(&self, work: u64) {
        /// What one thread has done before another has heard of it.
        const LEAST: u64 = 1 << 19;
        if let Some(set) = self.set_threads {
            let threads = if work < LEAST { 1 } else { self.threads };
            // SAFETY: an engine of the backend that the function is of.
            unsafe { set(self.raw(), threads) };
        }
    }

    fn make_pool(&mut self) {
        type NewPool = unsafe extern "C" fn(*mut PoolParams) -> Raw;
        type SetPool = unsafe extern "C" fn(Raw, Raw);
        let new = self.device.extra("ggml_threadpool_new");
        let set = self.device.extra("ggml_backend_cpu_set_threadpool");
        let free = self.device.extra("ggml_threadpool_free");
        let (Some(new), Some(set), Some(_)) = (new, set, free) else { return };
        /// How long threads wait busily for more work: ggml's own default.
        const POLL: u32 = 50;
        let mut params = PoolParams {
            mask: [false; 512],
            threads: self.threads,
            priority: 0,
            poll: POLL,
            strict: false,
            paused: false,
        };
        // SAFETY: ggml declares the function of this name so.
        let new = unsafe { std::mem::transmute::<Raw, NewPool>(new.as_ptr()) };
        // SAFETY: parameters that live during the call.
        self.pool = NonNull::new(unsafe { new(&raw mut params) });
        // SAFETY: ggml declares the function of this name so.
        let set = unsafe { std::mem::transmute::<Raw, SetPool>(set.as_ptr()) };
        if let Some(pool) = self.pool {
            // SAFETY: an engine of this backend, and a pool that lives longer.
            unsafe { set(self.raw(), pool.as_ptr()) };
        }
    }

    /// Lets `cancelled` end a run; null for none.
    pub(super) fn set_cancel(&self, cancelled: Option<Cancelled>, context: Raw) {
        type SetCancel = unsafe extern "C" fn(Raw, Option<Cancelled>, Raw);
        if let Some(address) = self.device.extra("ggml_backend_set_abort_callback") {
            // SAFETY: ggml declares the function of this name so.
            let set = unsafe { std::mem::transmute::<Raw, SetCancel>(address.as_ptr()) };
            // SAFETY: an engine of this backend; the caller takes the context back before it ends.
            unsafe { set(self.raw(), cancelled, context) };
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: made by `ggml_backend_dev_init` and released once.
        unsafe { (self.device.library.raw.ggml_backend_free)(self.raw()) };
        type FreePool = unsafe extern "C" fn(Raw);
        if let (Some(pool), Some(free)) = (self.pool, self.device.extra("ggml_threadpool_free")) {
            // SAFETY: ggml declares the function of this name so.
            let free = unsafe { std::mem::transmute::<Raw, FreePool>(free.as_ptr()) };
            // SAFETY: made by `ggml_threadpool_new`, and the engine that used it is gone.
            unsafe { free(pool.as_ptr()) };
        }
    }
}
