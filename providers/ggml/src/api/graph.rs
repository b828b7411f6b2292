//! Graphs that are computed.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use remuda_sdk::Failure;

use super::context::{Context, Refusal, T, refuse};
use super::device::{Engine, RawDevice};
use super::memory::{BufferKind, read, write};
use super::raw::Raw;

/// How a computation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computed {
    Done,
    Cancelled,
    /// With a number of ggml's.
    Failed(c_int),
}

/// A graph with memory for all that it computes.
pub(crate) struct Plan {
    context: Context,
    graph: Raw,
    memory: Option<NonNull<c_void>>,
}

// SAFETY: a plan is used by one thread at a time, whichever.
unsafe impl Send for Plan {}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan({} bytes)", self.workspace_bytes())
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        if let Some(memory) = self.memory {
            // SAFETY: made by `ggml_gallocr_new` and released once.
            unsafe { (self.context.library.raw.ggml_gallocr_free)(memory.as_ptr()) };
        }
    }
}

impl Plan {
    /// The graph of everything that these tensors are made of. `nodes` is what the context was made for.
    pub(crate) fn new(context: Context, nodes: usize, ends: &[T]) -> Self {
        let raw = &context.library.raw;
        // SAFETY: the context has room for one graph of this size.
        let graph = unsafe { (raw.ggml_new_graph_custom)(context.raw(), nodes, false) };
        for end in ends {
            // SAFETY: a graph with room for every tensor of the context.
            unsafe { (raw.ggml_build_forward_expand)(graph, end.raw()) };
        }
        Self { context, graph, memory: None }
    }

    /// The first operator that a device cannot compute.
    pub(crate) fn unsupported(&self, device: RawDevice) -> Option<T> {
        let raw = &self.context.library.raw;
        // SAFETY: a graph.
        let count = unsafe { (raw.ggml_graph_n_nodes)(self.graph) };
        let node = |at: c_int| {
            // SAFETY: an index below the count.
            NonNull::new(unsafe { (raw.ggml_graph_node)(self.graph, at) }).map(T)
        };
        (0..count).filter_map(node).find(|&node| !device.supports(node))
    }

    /// Takes memory for all tensors that have none.
    pub(crate) fn allocate(&mut self, kind: BufferKind) -> Result<(), Refusal> {
        let raw = &self.context.library.raw;
        // SAFETY: a kind of memory.
        let memory = NonNull::new(unsafe { (raw.ggml_gallocr_new)(kind.raw()) });
        let memory = memory.ok_or_else(|| refuse("memory", "ggml made no allocator"))?;
        self.memory = Some(memory);
        // SAFETY: an allocator and a graph that was not allocated yet.
        if unsafe { (raw.ggml_gallocr_alloc_graph)(memory.as_ptr(), self.graph) } {
            return Ok(());
        }
        Err(refuse("memory", "no memory for the values of the graph"))
    }

    /// Bytes that were taken.
    pub(crate) fn workspace_bytes(&self) -> usize {
        self.memory.map_or(0, |memory| {
            // SAFETY: an allocator with one buffer.
            unsafe { (self.context.library.raw.ggml_gallocr_get_buffer_size)(memory.as_ptr(), 0) }
        })
    }

    /// Whether a tensor is part of what is computed.
    pub(crate) fn has(&self, t: T) -> bool {
        t.has_memory()
    }

    /// Writes an input.
    pub(crate) fn write(&mut self, t: T, bytes: &[u8]) -> Result<(), Failure> {
        write(&self.context, t, 0, bytes)
    }

    /// Reads an output.
    pub(crate) fn read(&self, t: T, into: &mut [u8]) -> Result<(), Failure> {
        read(&self.context, t, 0, into)
    }

    /// Computes it.
    pub(crate) fn compute(&mut self, engine: &mut Engine, cancel: &AtomicBool) -> Computed {
        let flag = std::ptr::from_ref(cancel).cast_mut().cast();
        engine.set_cancel(Some(is_set), flag);
        engine.spread(self.context.work());
        // SAFETY: an engine, and a graph whose tensors all have memory.
        let status = unsafe {
            (self.context.library.raw.ggml_backend_graph_compute)(engine.raw(), self.graph)
        };
        engine.set_cancel(None, std::ptr::null_mut());
        match status {
            0 => Computed::Done,
            1 => Computed::Cancelled,
            other => Computed::Failed(other),
        }
    }
}

unsafe extern "C" fn is_set(flag: *mut c_void) -> bool {
    // SAFETY: `compute` gives its flag for as long as it runs.
    unsafe { flag.cast::<AtomicBool>().as_ref() }.is_some_and(|flag| flag.load(Ordering::Relaxed))
}
