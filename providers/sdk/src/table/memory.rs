//! The functions of the table that concern memory of devices.

use std::ffi::c_void;
use std::sync::Arc;

use remuda_abi::{self as abi, BufferHandle, InstanceHandle, Status, StreamHandle};
use remuda_bridge::{Failure, dtype_code, dtype_from_code, export_result, import};
use remuda_tensor::Memory;

use super::{backend, null};
use crate::Backend;
use crate::fence::{fence, fence_or};
use crate::memory::{Allocator, Buffer, DeviceTensor, Operand, check_range};

/// A buffer handle points to one of these.
type Held = Arc<dyn Buffer>;

/// The buffer behind a handle.
///
/// # Safety
/// `buffer` must be null or come from this provider and be alive.
unsafe fn held<'a>(buffer: *mut BufferHandle) -> Result<&'a Held, Failure> {
    // SAFETY: handed on to the caller.
    unsafe { buffer.cast::<Held>().as_ref() }.ok_or_else(|| null("buffer"))
}

fn give_handle(buffer: Held) -> *mut BufferHandle {
    Box::into_raw(Box::new(buffer)).cast()
}

fn allocator<B: Backend>(backend: &B, device: u32) -> Result<&dyn Allocator, Failure> {
    backend.allocator(device).ok_or_else(|| Failure::Unsupported {
        node: None,
        text: format!("device {device} has no memory to allocate from"),
    })
}

pub(super) unsafe extern "C" fn allocate<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    bytes: u64,
    align: u64,
    out: *mut *mut BufferHandle,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let (backend, out) = unsafe { (backend::<B>(instance)?, out.as_mut()) };
        let out = out.ok_or_else(|| null("out"))?;
        *out = give_handle(allocator(backend, device)?.allocate(bytes, align)?);
        Ok(())
    })
}

/// Host memory that outlives the buffer over it: so says the contract.
struct Borrowed {
    data: *const u8,
    bytes: usize,
}

// SAFETY: the host leaves the memory unchanged and alive while the buffer over it lives.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl Memory for Borrowed {
    fn bytes(&self) -> &[u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: see the type.
        unsafe { std::slice::from_raw_parts(self.data, self.bytes) }
    }
}

pub(super) unsafe extern "C" fn import_host<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    data: *mut c_void,
    bytes: u64,
    out: *mut *mut BufferHandle,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let (backend, out) = unsafe { (backend::<B>(instance)?, out.as_mut()) };
        let out = out.ok_or_else(|| null("out"))?;
        if data.is_null() && bytes > 0 {
            return Err(null("data"));
        }
        let bytes = host_size(bytes)?;
        let memory = Arc::new(Borrowed { data: data.cast_const().cast(), bytes });
        *out = give_handle(allocator(backend, device)?.import_host(memory)?);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn free_buffer(buffer: *mut BufferHandle) {
    if !buffer.is_null() {
        // SAFETY: the handle is the box of `give_handle` and is freed once.
        fence_or((), || drop(unsafe { Box::from_raw(buffer.cast::<Held>()) }));
    }
}

fn host_size(bytes: u64) -> Result<usize, Failure> {
    usize::try_from(bytes).map_err(|_| Failure::Invalid(format!("{bytes} bytes are too many")))
}

/// How many bytes at `data` a move to or from a buffer concerns; none where there is nothing to move.
fn host_len(
    buffer: &Held,
    offset: u64,
    data: *const c_void,
    bytes: u64,
) -> Result<Option<usize>, Failure> {
    check_range(&**buffer, offset, bytes)?;
    if bytes == 0 {
        return Ok(None);
    }
    if data.is_null() {
        return Err(null("data"));
    }
    host_size(bytes).map(Some)
}

pub(super) unsafe extern "C" fn upload(
    buffer: *mut BufferHandle,
    offset: u64,
    data: *const c_void,
    bytes: u64,
    _stream: *mut StreamHandle,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let buffer = unsafe { held(buffer) }?;
        let Some(len) = host_len(buffer, offset, data, bytes)? else { return Ok(()) };
        // SAFETY: the contract: so many readable bytes.
        let data = unsafe { std::slice::from_raw_parts(data.cast(), len) };
        buffer.upload(offset, data)
    })
}

pub(super) unsafe extern "C" fn download(
    buffer: *mut BufferHandle,
    offset: u64,
    data: *mut c_void,
    bytes: u64,
    _stream: *mut StreamHandle,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let buffer = unsafe { held(buffer) }?;
        let Some(len) = host_len(buffer, offset, data, bytes)? else { return Ok(()) };
        // SAFETY: the contract: so many bytes that are the call's to be written.
        let into = unsafe { std::slice::from_raw_parts_mut(data.cast(), len) };
        buffer.download(offset, into)
    })
}

pub(super) unsafe extern "C" fn copy(
    from: *mut BufferHandle,
    from_offset: u64,
    to: *mut BufferHandle,
    to_offset: u64,
    bytes: u64,
    _stream: *mut StreamHandle,
) -> Status {
    fence(|| {
        // SAFETY: the contract: both buffers are of this provider.
        let (from, to) = unsafe { (held(from)?, held(to)?) };
        check_range(&**from, from_offset, bytes)?;
        check_range(&**to, to_offset, bytes)?;
        from.copy_to(from_offset, &**to, to_offset, bytes)
    })
}

/// What a run is given: its memory stays where it is.
///
/// # Safety
/// `value` must be as the contract says, its buffer of this provider.
pub(super) unsafe fn take(value: &abi::Value) -> Result<Operand, Failure> {
    if value.kind != abi::KIND_TENSOR || value.buffer.is_null() {
        // SAFETY: handed on to the caller.
        return Ok(Operand::Host(unsafe { import(value) }?));
    }
    // SAFETY: handed on to the caller.
    let buffer = Arc::clone(unsafe { held(value.buffer) }?);
    let dtype = dtype_from_code(value.dtype).ok_or_else(|| {
        Failure::Invalid(format!("element type {} is none of the contract", value.dtype))
    })?;
    let dims: &[i64] = if value.rank == 0 || value.dims.is_null() {
        &[]
    } else {
        // SAFETY: the contract: `rank` dimensions.
        unsafe { std::slice::from_raw_parts(value.dims, value.rank as usize) }
    };
    let dims = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| Failure::Invalid("a dimension is negative".to_owned()))?;
    let tensor = DeviceTensor { dtype, dims, buffer, offset: value.buffer_offset };
    check_range(&*tensor.buffer, tensor.offset, tensor.byte_len()?)?;
    Ok(Operand::Device(tensor))
}

/// What hangs on a device tensor that was handed out.
struct Given {
    buffer: Held,
    dims: Vec<i64>,
}

unsafe extern "C" fn retain_given(owner: *mut c_void) {
    // SAFETY: `owner` came from `Arc::into_raw` in `give_device` and is alive.
    unsafe { Arc::increment_strong_count(owner.cast::<Given>()) };
}

unsafe extern "C" fn release_given(owner: *mut c_void) {
    // SAFETY: as above; the reference that is given up was counted.
    fence_or((), || unsafe { Arc::decrement_strong_count(owner.cast::<Given>()) });
}

fn give_device(tensor: DeviceTensor) -> Result<abi::Value, Failure> {
    let bytes = tensor.byte_len()?;
    let DeviceTensor { dtype, dims, buffer, offset } = tensor;
    let dims = dims.into_iter().map(|dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
    let given = Arc::new(Given { buffer, dims });
    let rank = u32::try_from(given.dims.len()).unwrap_or(u32::MAX);
    let (dims, buffer) = (given.dims.as_ptr(), (&raw const given.buffer).cast_mut().cast());
    Ok(abi::Value {
        kind: abi::KIND_TENSOR,
        dtype: dtype_code(dtype),
        rank,
        dims,
        bytes,
        buffer,
        buffer_offset: offset,
        owner: Arc::into_raw(given).cast_mut().cast(),
        retain: Some(retain_given),
        release: Some(release_given),
        ..abi::Value::none()
    })
}

/// Hands an output over, or writes it where the host wants it.
///
/// # Safety
/// A place with `data` must have `bytes` bytes there; one with `buffer` a buffer of this provider.
pub(super) unsafe fn give(operand: Operand, place: &mut abi::Value) -> Result<(), Failure> {
    if place.data.is_null() && place.buffer.is_null() {
        *place = match operand {
            Operand::Host(val) => export_result(val),
            Operand::Device(tensor) => give_device(tensor)?,
        };
        return Ok(());
    }
    let val = operand.into_host()?;
    let tensor = val.tensor()?.contiguous();
    let bytes = tensor.bytes().unwrap_or(&[]);
    if bytes.len() as u64 > place.bytes {
        return Err(Failure::Invalid(format!(
            "an output needs {} bytes, its place has {}",
            bytes.len(),
            place.bytes
        )));
    }
    if place.data.is_null() {
        // SAFETY: handed on to the caller.
        let buffer = unsafe { held(place.buffer) }?;
        check_range(&**buffer, place.buffer_offset, bytes.len() as u64)?;
        buffer.upload(place.buffer_offset, bytes)?;
    } else {
        // SAFETY: the place has at least so many bytes, and is the host's own memory.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.data.cast(), bytes.len()) };
    }
    place.bytes = bytes.len() as u64;
    Ok(())
}
