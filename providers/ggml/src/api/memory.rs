//! Memory of devices, and tensors that lie in it.

use std::ptr::NonNull;

use remuda_sdk::Failure;
use remuda_sdk::tensor::Tensor;

use super::Library;
use super::context::{Context, Kind, Refusal, T};
use super::device::{DeviceClass, RawDevice};
use super::raw::Raw;

/// A kind of memory.
#[derive(Clone, Copy)]
pub(crate) struct BufferKind {
    library: &'static Library,
    raw: NonNull<std::ffi::c_void>,
}

// SAFETY: a kind of memory is only read.
unsafe impl Send for BufferKind {}
// SAFETY: as above.
unsafe impl Sync for BufferKind {}

impl std::fmt::Debug for BufferKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BufferKind")
    }
}

impl BufferKind {
    pub(super) fn new(library: &'static Library, raw: NonNull<std::ffi::c_void>) -> Self {
        Self { library, raw }
    }

    pub(super) fn raw(&self) -> Raw {
        self.raw.as_ptr()
    }

    fn allocate(&self, bytes: usize) -> Option<NonNull<std::ffi::c_void>> {
        let raw = &self.library.raw;
        // SAFETY: a kind of memory.
        let most = unsafe { (raw.ggml_backend_buft_get_max_size)(self.raw()) };
        if bytes > most {
            return None;
        }
        // SAFETY: as above; failure is null.
        NonNull::new(unsafe { (raw.ggml_backend_buft_alloc_buffer)(self.raw(), bytes) })
    }

    /// Whether a product of such rows with a weight that lies in this memory can be computed.
    pub(crate) fn takes_product(
        &self,
        device: RawDevice,
        (kind, ne): (Kind, [i64; 4]),
        rows: i64,
    ) -> Result<bool, Refusal> {
        let context = Context::new(self.library, 4, false)?;
        let weight = context.tensor(kind, ne)?;
        let x = context.tensor(Kind::F32, [ne[0], rows, 1, 1])?;
        let product = context.mul_mat(weight, x)?;
        let Some(empty) = self.allocate(0) else { return Ok(false) };
        // SAFETY: nobody else sees the tensor; what it points to is released below, after its use.
        unsafe { (*weight.raw()).buffer = empty.as_ptr() };
        let takes = device.supports(product);
        // SAFETY: as above.
        unsafe { (*weight.raw()).buffer = std::ptr::null_mut() };
        // SAFETY: allocated above, released once.
        unsafe { (self.library.raw.ggml_backend_buffer_free)(empty.as_ptr()) };
        Ok(takes)
    }
}

/// A tensor in memory of its own.
pub(crate) struct Buffer {
    pub(crate) t: T,
    /// Bytes of memory that were taken for it; none for memory of the host that it lies in.
    pub(crate) own_bytes: usize,
    context: Context,
    raw: NonNull<std::ffi::c_void>,
    /// The memory of the host that it lies in.
    _host: Option<Tensor>,
}

// SAFETY: buffers are read by any thread, and written by [`Buffer::write`] alone, see there.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.own_bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the buffer is this tensor's alone and released once.
        unsafe { (self.context.library.raw.ggml_backend_buffer_free)(self.raw.as_ptr()) };
    }
}

/// ggml reads memory of the host from such addresses on.
const ALIGNMENT: usize = 32;
const WEIGHTS: i32 = 1;

impl Buffer {
    /// Memory for a tensor, zeroed.
    pub(crate) fn new(
        of: BufferKind,
        kind: Kind,
        ne: [i64; 4],
        weights: bool,
    ) -> Result<Self, Failure> {
        let refused = |why: Refusal| Failure::Unsupported { node: None, text: why.text };
        let raw = &of.library.raw;
        let context = Context::new(of.library, 1, false).map_err(refused)?;
        let t = context.tensor(kind, ne).map_err(refused)?;
        // SAFETY: a kind of memory and a tensor.
        let bytes = unsafe { (raw.ggml_backend_buft_get_alloc_size)(of.raw(), t.raw()) };
        // SAFETY: a kind of memory.
        let alignment = unsafe { (raw.ggml_backend_buft_get_alignment)(of.raw()) };
        let taken = bytes.saturating_add(alignment);
        let buffer = of.allocate(taken).ok_or_else(|| Failure::OutOfMemory {
            needed: taken as u64,
            free: 0,
            text: format!("a tensor of {bytes} bytes"),
        })?;
        let made = Self { t, own_bytes: taken, context, raw: buffer, _host: None };
        if weights {
            // SAFETY: a buffer and a use that ggml knows.
            unsafe { (raw.ggml_backend_buffer_set_usage)(made.raw.as_ptr(), WEIGHTS) };
        } else {
            // SAFETY: a buffer.
            unsafe { (raw.ggml_backend_buffer_clear)(made.raw.as_ptr(), 0) };
        }
        made.place(alignment)
    }

    /// Puts the tensor at the first address of the buffer that its kind of memory allows.
    fn place(self, alignment: usize) -> Result<Self, Failure> {
        let raw = &self.context.library.raw;
        // SAFETY: a buffer.
        let base = unsafe { (raw.ggml_backend_buffer_get_base)(self.raw.as_ptr()) };
        let address = base.map_addr(|address| address.next_multiple_of(alignment.max(1)));
        // SAFETY: the tensor has no memory yet, and fits in behind the address.
        let status =
            unsafe { (raw.ggml_backend_tensor_alloc)(self.raw.as_ptr(), self.t.raw(), address) };
        if status == 0 {
            return Ok(self);
        }
        Err(Failure::Internal(format!("ggml gave status {status} for memory of a tensor")))
    }

    /// A tensor of the host where it lies, if the device can read it there.
    pub(crate) fn over_host(
        device: RawDevice,
        tensor: &Tensor,
        ne: [i64; 4],
    ) -> Result<Option<Self>, Failure> {
        let refused = |why: Refusal| Failure::Unsupported { node: None, text: why.text };
        // Of other devices not all have this function, and ggml calls it unasked.
        let own = device.class() == DeviceClass::Cpu;
        let (Some(kind), Some(bytes), true) = (Kind::of(tensor.dtype()), tensor.bytes(), own)
        else {
            return Ok(None);
        };
        let context = Context::new(device.library, 1, false).map_err(refused)?;
        let t = context.tensor(kind, ne).map_err(refused)?;
        let fits = context.bytes(t) == bytes.len();
        if !fits || bytes.is_empty() || bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Ok(None);
        }
        let address = bytes.as_ptr().cast_mut().cast();
        let raw = &device.library.raw;
        // SAFETY: readable memory that `_host` keeps alive; weights are never written.
        let buffer = unsafe {
            (raw.ggml_backend_dev_buffer_from_host_ptr)(
                device.raw(),
                address,
                bytes.len(),
                bytes.len(),
            )
        };
        let Some(buffer) = NonNull::new(buffer) else { return Ok(None) };
        let made = Self { t, own_bytes: 0, context, raw: buffer, _host: Some(tensor.clone()) };
        // SAFETY: a buffer and a use that ggml knows.
        unsafe { (raw.ggml_backend_buffer_set_usage)(made.raw.as_ptr(), WEIGHTS) };
        made.place(1).map(Some)
    }

    /// Bytes of the elements.
    pub(crate) fn bytes(&self) -> usize {
        self.context.bytes(self.t)
    }

    /// Writes elements, in bytes from the first one. Nobody may be reading these.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Failure> {
        write(&self.context, self.t, offset, bytes)
    }

    /// Reads elements.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Failure> {
        read(&self.context, self.t, offset, into)
    }
}

fn expect_inside(context: &Context, t: T, offset: usize, bytes: usize) -> Result<(), Failure> {
    if offset.checked_add(bytes).is_some_and(|end| end <= context.bytes(t)) {
        return Ok(());
    }
    Err(Failure::Internal(format!("{bytes} bytes at {offset} lie outside a tensor")))
}

/// Writes elements of a tensor that has memory.
pub(super) fn write(context: &Context, t: T, offset: usize, bytes: &[u8]) -> Result<(), Failure> {
    expect_inside(context, t, offset, bytes.len())?;
    let data = bytes.as_ptr().cast();
    // SAFETY: the tensor has memory, and the bytes lie in it.
    unsafe { (context.library.raw.ggml_backend_tensor_set)(t.raw(), data, offset, bytes.len()) };
    Ok(())
}

/// Reads elements of a tensor that has memory.
pub(super) fn read(context: &Context, t: T, offset: usize, into: &mut [u8]) -> Result<(), Failure> {
    expect_inside(context, t, offset, into.len())?;
    let data = into.as_mut_ptr().cast();
    // SAFETY: the tensor has memory, and the bytes lie in it.
    unsafe { (context.library.raw.ggml_backend_tensor_get)(t.raw(), data, offset, into.len()) };
    Ok(())
}
