//! Memory of devices, as the author of a provider writes it.
//!
//! A provider whose device has memory of its own sets [`crate::Backend::DEVICE_MEMORY`] and gives an
//! [`Allocator`] per device. The host then moves values between memories with the calls of [`Buffer`],
//! and runs get and give [`Operand`]s that stay on the device between two parts.

use std::any::Any;
use std::sync::Arc;

use remuda_bridge::Failure;
use remuda_ir::Val;
use remuda_tensor::{DType, Memory, Tensor};

/// Makes buffers on one device.
pub trait Allocator: Send + Sync {
    /// Allocates memory; what it holds at first does not matter.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`] with the bytes that were needed and those that were free.
    fn allocate(&self, bytes: u64, align: u64) -> Result<Arc<dyn Buffer>, Failure>;

    /// Makes host memory readable by the device without a copy.
    ///
    /// # Errors
    /// When the device cannot do that, which is the default.
    fn import_host(&self, memory: Arc<dyn Memory>) -> Result<Arc<dyn Buffer>, Failure> {
        let text = format!("{} bytes of host memory cannot be used in place", memory.bytes().len());
        Err(Failure::Unsupported { node: None, text })
    }
}

/// Memory of a device. It is freed when the last reference goes.
///
/// Ranges that reach these functions lie within the buffer: whoever calls has checked.
pub trait Buffer: Any + Send + Sync {
    /// Bytes.
    fn bytes(&self) -> u64;

    /// Copies from host memory to the buffer.
    ///
    /// # Errors
    /// When the device fails.
    fn upload(&self, offset: u64, data: &[u8]) -> Result<(), Failure>;

    /// Copies from the buffer to host memory.
    ///
    /// # Errors
    /// When the device fails.
    fn download(&self, offset: u64, into: &mut [u8]) -> Result<(), Failure>;

    /// Copies to another buffer of this provider, on the same device or not; by default by way of
    /// the host.
    ///
    /// # Errors
    /// When a device fails.
    fn copy_to(
        &self,
        offset: u64,
        to: &dyn Buffer,
        to_offset: u64,
        bytes: u64,
    ) -> Result<(), Failure> {
        let mut staged = zeroed(bytes)?;
        let place = staged.bytes_mut().unwrap_or_default();
        self.download(offset, place)?;
        to.upload(to_offset, place)
    }
}

/// Checks that a range lies within a buffer.
///
/// # Errors
/// [`Failure::Invalid`] with both sizes.
pub fn check_range(buffer: &dyn Buffer, offset: u64, bytes: u64) -> Result<(), Failure> {
    match offset.checked_add(bytes) {
        Some(end) if end <= buffer.bytes() => Ok(()),
        _ => Err(Failure::Invalid(format!(
            "{bytes} bytes at {offset} lie outside a buffer of {}",
            buffer.bytes()
        ))),
    }
}

/// A tensor in memory of a device, its elements together in row-major order.
#[derive(Clone)]
pub struct DeviceTensor {
    /// The element type.
    pub dtype: DType,
    /// The dimensions.
    pub dims: Vec<usize>,
    /// Where its elements are.
    pub buffer: Arc<dyn Buffer>,
    /// Where in `buffer` they start, in bytes.
    pub offset: u64,
}

impl std::fmt::Debug for DeviceTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceTensor({}{:?})", self.dtype, self.dims)
    }
}

impl DeviceTensor {
    /// Bytes of its elements.
    ///
    /// # Errors
    /// When the dimensions cannot be addressed, or it is a tensor of texts.
    pub fn byte_len(&self) -> Result<u64, Failure> {
        let count = self.dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        let bytes = count.and_then(|count| self.dtype.bytes_for(count));
        bytes
            .map(|bytes| bytes as u64)
            .ok_or_else(|| Failure::Invalid(format!("{self:?} cannot be held by a buffer")))
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// When memory does not suffice or the device fails.
    pub fn to_host(&self) -> Result<Tensor, Failure> {
        check_range(&*self.buffer, self.offset, self.byte_len()?)?;
        let mut tensor = Tensor::zeros(self.dtype, self.dims.clone()).map_err(too_large)?;
        if let Some(bytes) = tensor.bytes_mut() {
            self.buffer.download(self.offset, bytes)?;
            return Ok(tensor);
        }
        // Not every byte is a truth value: what came has to be looked at.
        let mut staged = zeroed(tensor.byte_len() as u64)?;
        self.buffer.download(self.offset, staged.bytes_mut().unwrap_or_default())?;
        Tensor::from_bytes(self.dtype, self.dims.clone(), staged.bytes().unwrap_or_default())
            .map_err(|error| Failure::Internal(error.to_string()))
    }
}

/// What a run takes or gives: a value in host memory, or a tensor in memory of the device.
#[derive(Clone, Debug)]
pub enum Operand {
    /// In host memory.
    Host(Val),
    /// In memory of the device.
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

fn too_large(error: remuda_tensor::TensorError) -> Failure {
    remuda_ir::OpError::from(error).into()
}

fn zeroed(bytes: u64) -> Result<Tensor, Failure> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Tensor::zeros(DType::U8, [bytes]).map_err(too_large)
}
