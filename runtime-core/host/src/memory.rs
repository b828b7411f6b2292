//! Memory of devices, as the host holds it.

use std::sync::Arc;

use remuda_abi::{self as abi, BufferHandle, Value};
use remuda_bridge::{Failure, dtype_code, dtype_from_code, export, failure_of, import_owned};
use remuda_ir::{OpError, Val};
use remuda_tensor::{DType, Tensor};

use crate::Provider;
use crate::instance::{ended, lacks};

/// Alignment that buffers are asked for.
const ALIGN: u64 = 256;

/// Memory of a device. It is freed when this is dropped.
#[derive(Debug)]
pub struct Buffer {
    handle: *mut BufferHandle,
    bytes: u64,
    /// The value that the buffer came with, whose reference is given up on drop; none for one that
    /// was allocated.
    value: Option<Value>,
    provider: Provider,
}

// SAFETY: the contract lets functions be called from any thread.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Drop for Buffer {
    fn drop(&mut self) {
        let free = self.provider.0.table.0.free_buffer;
        match (&self.value, free) {
            (Some(value), _) => {
                if let Some(release) = value.release {
                    // SAFETY: the reference that the value came with, given up once.
                    unsafe { release(value.owner) };
                }
            }
            // SAFETY: the handle came from `allocate` and is freed once.
            (None, Some(free)) => unsafe { free(self.handle) },
            (None, None) => {}
        }
    }
}

impl Buffer {
    /// Bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whose memory it is.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Copies from host memory.
    ///
    /// # Errors
    /// What the provider says, or that the range lies outside.
    pub fn upload(&self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        self.check(offset, data.len() as u64)?;
        let call = self.provider.0.table.0.upload.ok_or_else(|| lacks("upload"))?;
        let (ptr, len) = (data.as_ptr().cast(), data.len() as u64);
        // SAFETY: the range lies in the buffer; the bytes live during the call.
        let status = unsafe { call(self.handle, offset, ptr, len, std::ptr::null_mut()) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })
    }

    /// Copies to host memory.
    ///
    /// # Errors
    /// What the provider says, or that the range lies outside.
    pub fn download(&self, offset: u64, into: &mut [u8]) -> Result<(), Failure> {
        self.check(offset, into.len() as u64)?;
        let call = self.provider.0.table.0.download.ok_or_else(|| lacks("download"))?;
        let (ptr, len) = (into.as_mut_ptr().cast(), into.len() as u64);
        // SAFETY: the range lies in the buffer; the bytes are ours to be written during the call.
        let status = unsafe { call(self.handle, offset, ptr, len, std::ptr::null_mut()) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })
    }

    fn check(&self, offset: u64, bytes: u64) -> Result<(), Failure> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => Err(Failure::Internal(format!(
                "{bytes} bytes at {offset} lie outside a buffer of {}",
                self.bytes
            ))),
        }
    }
}

/// A tensor in memory of a device. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeviceTensor {
    /// The element type.
    pub dtype: DType,
    /// The dimensions.
    pub dims: Vec<usize>,
    buffer: Arc<Buffer>,
    offset: u64,
    bytes: u64,
}

impl DeviceTensor {
    /// Copies a tensor of host memory to a device.
    ///
    /// # Errors
    /// What the provider says, or that a tensor of texts cannot be held by a device.
    pub fn upload(provider: &Provider, device: u32, tensor: &Tensor) -> Result<Self, Failure> {
        let tensor = tensor.contiguous();
        let data = tensor
            .bytes()
            .ok_or_else(|| Failure::Invalid("texts cannot lie in memory of a device".to_owned()))?;
        let buffer = provider.allocate(device, data.len() as u64)?;
        buffer.upload(0, data)?;
        let (dtype, dims) = (tensor.dtype(), tensor.dims().to_vec());
        Ok(Self { dtype, dims, bytes: data.len() as u64, buffer: buffer.into(), offset: 0 })
    }

    /// Bytes of its elements.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whose memory it is in.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        self.buffer.provider()
    }

    /// Copies it to host memory.
    ///
    /// # Errors
    /// What the provider says, or that memory does not suffice.
    pub fn to_host(&self) -> Result<Tensor, Failure> {
        let zeros = Tensor::zeros(self.dtype, self.dims.clone());
        let mut tensor = zeros.map_err(|error| Failure::from(OpError::from(error)))?;
        if let Some(bytes) = tensor.bytes_mut() {
            self.buffer.download(self.offset, bytes)?;
            return Ok(tensor);
        }
        // Not every byte is a truth value: what came has to be looked at.
        let mut bytes = vec![0; tensor.byte_len()];
        self.buffer.download(self.offset, &mut bytes)?;
        Tensor::from_bytes(self.dtype, self.dims.clone(), &bytes)
            .map_err(|error| Failure::Internal(format!("its tensor cannot be read: {error}")))
    }

    /// Copies it to another device of its provider, without a way over host memory.
    ///
    /// # Errors
    /// What the provider says, or that it offers no such copy.
    pub fn copy_to(&self, device: u32) -> Result<Self, Failure> {
        let provider = self.provider();
        let call = provider.0.table.0.copy.ok_or_else(|| lacks("copy"))?;
        let to = provider.allocate(device, self.bytes)?;
        let (from, at) = (self.buffer.handle, self.offset);
        // SAFETY: both buffers are of this provider and large enough.
        let status = unsafe { call(from, at, to.handle, 0, self.bytes, std::ptr::null_mut()) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(Self { buffer: to.into(), offset: 0, ..self.clone() })
    }
}

/// What a run takes or gives: a value in host memory, or a tensor in memory of the device.
#[derive(Clone, Debug)]
pub enum Operand {
    /// In host memory.
    Host(Val),
    /// In memory of a device.
    Device(DeviceTensor),
}

impl Operand {
    /// The value in host memory, copied there if need be.
    ///
    /// # Errors
    /// When memory does not suffice or the device fails.
    pub fn into_host(self) -> Result<Val, Failure> {
        match self {
            Self::Host(val) => Ok(val),
            Self::Device(tensor) => Ok(tensor.to_host()?.into()),
        }
    }
}

impl From<Val> for Operand {
    fn from(val: Val) -> Self {
        Self::Host(val)
    }
}

/// Values on their way into a run, and what they point to.
pub(crate) struct Arguments {
    pub(crate) values: Vec<Value>,
    _dims: Vec<Vec<i64>>,
}

impl Drop for Arguments {
    fn drop(&mut self) {
        for value in &self.values {
            if let Some(release) = value.release {
                // SAFETY: the reference that `export` gave, given up once.
                unsafe { release(value.owner) };
            }
        }
    }
}

impl Arguments {
    pub(crate) fn of_vals(vals: &[Val]) -> Self {
        Self { values: vals.iter().map(export).collect(), _dims: Vec::new() }
    }

    /// Buffers must be of `provider`: handles of another one mean nothing to it.
    pub(crate) fn of_operands(operands: &[Operand], provider: &Provider) -> Result<Self, Failure> {
        let mut arguments = Self { values: Vec::new(), _dims: Vec::new() };
        for operand in operands {
            let value = match operand {
                Operand::Host(val) => export(val),
                Operand::Device(tensor) if Arc::ptr_eq(&tensor.provider().0, &provider.0) => {
                    arguments.device_value(tensor)
                }
                Operand::Device(_) => {
                    let text = "an input is in memory of another provider";
                    return Err(Failure::Internal(text.to_owned()));
                }
            };
            arguments.values.push(value);
        }
        Ok(arguments)
    }

    /// Describes a device tensor. The caller keeps it alive during the call.
    fn device_value(&mut self, tensor: &DeviceTensor) -> Value {
        let dims: Vec<i64> =
            tensor.dims.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
        let value = Value {
            kind: abi::KIND_TENSOR,
            dtype: dtype_code(tensor.dtype),
            rank: u32::try_from(dims.len()).unwrap_or(u32::MAX),
            dims: dims.as_ptr(),
            bytes: tensor.bytes,
            buffer: tensor.buffer.handle,
            buffer_offset: tensor.offset,
            ..Value::none()
        };
        self._dims.push(dims);
        value
    }
}

/// An output of a provider: taken over with its reference.
///
/// # Safety
/// `value` must be as the contract says, with one reference that is given up here.
pub(crate) unsafe fn take_output(value: &Value, provider: &Provider) -> Result<Operand, OpError> {
    if value.kind != abi::KIND_TENSOR || value.buffer.is_null() {
        // SAFETY: handed on to the caller.
        return Ok(Operand::Host(unsafe { import_owned(value) }?));
    }
    // From here on the reference is given up when `buffer` is dropped.
    let end = value.buffer_offset.saturating_add(value.bytes);
    let (handle, provider) = (value.buffer, provider.clone());
    let buffer = Arc::new(Buffer { handle, bytes: end, value: Some(*value), provider });
    let dtype = dtype_from_code(value.dtype).ok_or_else(|| {
        OpError::Invalid(format!("element type {} is none of the contract", value.dtype))
    })?;
    let dims: &[i64] = if value.rank == 0 || value.dims.is_null() {
        &[]
    } else {
        // SAFETY: the contract: `rank` dimensions.
        unsafe { std::slice::from_raw_parts(value.dims, value.rank as usize) }
    };
    let dims = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| OpError::invalid("a dimension is negative"))?;
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let needed = count.and_then(|count| dtype.bytes_for(count)).map(|bytes| bytes as u64);
    if needed != Some(value.bytes) {
        let text = format!("{dtype}{dims:?} does not take {} bytes", value.bytes);
        return Err(OpError::Invalid(text));
    }
    Ok(Operand::Device(DeviceTensor {
        dtype,
        dims,
        buffer,
        offset: value.buffer_offset,
        bytes: value.bytes,
    }))
}

/// How much memory a device has and how much of it is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Bytes that are free now.
    pub free_bytes: u64,
}

impl Provider {
    /// Whether its devices have memory of their own that the host can fill and read.
    #[must_use]
    pub fn has_device_memory(&self) -> bool {
        let table = self.0.table.0;
        table.allocate.is_some()
            && table.free_buffer.is_some()
            && table.upload.is_some()
            && table.download.is_some()
    }

    /// Allocates memory of a device.
    ///
    /// # Errors
    /// What the provider says.
    pub fn allocate(&self, device: u32, bytes: u64) -> Result<Buffer, Failure> {
        let call = self.0.table.0.allocate.ok_or_else(|| lacks("allocate"))?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the place is ours.
        let status = unsafe { call(self.0.handle, device, bytes, ALIGN, &raw mut handle) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        if handle.is_null() {
            return Err(Failure::Internal("it allocated and gave no buffer".into()));
        }
        Ok(Buffer { handle, bytes, value: None, provider: self.clone() })
    }

    /// How much memory a device has and how much is free now.
    ///
    /// # Errors
    /// What the provider says.
    pub fn memory(&self, device: u32) -> Result<MemoryInfo, Failure> {
        let call = self.0.table.0.memory_info.ok_or_else(|| lacks("memory_info"))?;
        let size = size_of::<abi::MemoryInfo>();
        let mut info = abi::MemoryInfo { struct_size: size, total_bytes: 0, free_bytes: 0 };
        // SAFETY: the struct is ours.
        let status = unsafe { call(self.0.handle, device, &raw mut info) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(MemoryInfo { total_bytes: info.total_bytes, free_bytes: info.free_bytes })
    }

    /// Waits until everything on a device is done.
    ///
    /// # Errors
    /// What the provider says.
    pub fn synchronize(&self, device: u32) -> Result<(), Failure> {
        let call = self.0.table.0.synchronize.ok_or_else(|| lacks("synchronize"))?;
        // SAFETY: no stream: all of them.
        let status = unsafe { call(self.0.handle, device, std::ptr::null_mut()) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })
    }
}
