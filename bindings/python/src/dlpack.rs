//! DLPack, the exchange of arrays between Python libraries: a C structure in a capsule.
//!
//! Both versions of the structure are spoken. A consumer renames the capsule, which passes the
//! structure on; whoever holds it last calls its deleter.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use remuda::{DType, Memory, Tensor};

use crate::dtype::{from_dlpack, names_of};
use crate::error::{bad_input, bad_tensor, unsupported};

/// Host memory, in DLPack's list of devices.
pub(crate) const CPU: (i32, i32) = (1, 0);
/// Host memory that a CUDA driver has pinned: as good to read.
const PINNED: i32 = 3;

const LEGACY: &CStr = c"dltensor";
const LEGACY_USED: &CStr = c"used_dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const VERSIONED_USED: &CStr = c"used_dltensor_versioned";
const READ_ONLY: u64 = 1;
const MAJOR: u32 = 1;

#[repr(C)]
struct Described {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Legacy {
    tensor: Described,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
}

#[repr(C)]
struct Versioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
    flags: u64,
    tensor: Described,
}

/// What an exported structure keeps alive.
struct Kept {
    shape: Vec<i64>,
    strides: Vec<i64>,
    _tensor: Tensor,
}

/// A capsule of this tensor's memory; `versioned` says which structure the consumer understands.
pub(crate) fn export<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    versioned: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let tensor = tensor.contiguous();
    let names = names_of(tensor.dtype()).filter(|names| !names.dtype.is_packed());
    let (Some(names), Some(bytes)) = (names, tensor.bytes()) else {
        return Err(unsupported(
            py,
            &format!("DLPack does not carry elements of `{}`", tensor.dtype()),
        ));
    };
    let data = bytes.as_ptr().cast_mut().cast();
    let bits = u8::try_from(names.dtype.bits()).unwrap_or(u8::MAX);
    let signed = |size: &usize| i64::try_from(*size).unwrap_or(i64::MAX);
    let shape: Vec<i64> = tensor.dims().iter().map(signed).collect();
    let strides = row_major(&shape);
    let mut kept = Box::new(Kept { shape, strides, _tensor: tensor });
    let described = Described {
        data,
        device_type: CPU.0,
        device_id: CPU.1,
        ndim: i32::try_from(kept.shape.len()).unwrap_or(0),
        code: names.dlpack,
        bits,
        lanes: 1,
        shape: kept.shape.as_mut_ptr(),
        strides: kept.strides.as_mut_ptr(),
        byte_offset: 0,
    };
    let context = Box::into_raw(kept).cast();
    if versioned {
        let made = Versioned {
            major: MAJOR,
            minor: 0,
            context,
            deleter: Some(free_versioned),
            flags: READ_ONLY,
            tensor: described,
        };
        capsule(py, Box::into_raw(Box::new(made)).cast(), VERSIONED, drop_versioned)
    } else {
        let made = Legacy { tensor: described, context, deleter: Some(free_legacy) };
        capsule(py, Box::into_raw(Box::new(made)).cast(), LEGACY, drop_legacy)
    }
}

fn row_major(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

fn capsule<'py>(
    py: Python<'py>,
    made: *mut c_void,
    name: &'static CStr,
    destructor: unsafe extern "C" fn(*mut ffi::PyObject),
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the interpreter is attached; the pointer is not null, the name is static.
    let capsule = unsafe { ffi::PyCapsule_New(made, name.as_ptr(), Some(destructor)) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, capsule) }
}

unsafe extern "C" fn free_legacy(made: *mut Legacy) {
    // SAFETY: made by `export` with `Box::into_raw`; a deleter is called once.
    let made = unsafe { Box::from_raw(made) };
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(made.context.cast::<Kept>()) });
}

unsafe extern "C" fn free_versioned(made: *mut Versioned) {
    // SAFETY: made by `export` with `Box::into_raw`; a deleter is called once.
    let made = unsafe { Box::from_raw(made) };
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(made.context.cast::<Kept>()) });
}

unsafe extern "C" fn drop_legacy(capsule: *mut ffi::PyObject) {
    // SAFETY: called by the interpreter with the capsule that dies.
    if let Some(made) = unsafe { unused(capsule, LEGACY) } {
        // SAFETY: nobody took it, so it is still ours.
        unsafe { free_legacy(made.cast().as_ptr()) };
    }
}

unsafe extern "C" fn drop_versioned(capsule: *mut ffi::PyObject) {
    // SAFETY: called by the interpreter with the capsule that dies.
    if let Some(made) = unsafe { unused(capsule, VERSIONED) } {
        // SAFETY: nobody took it, so it is still ours.
        unsafe { free_versioned(made.cast().as_ptr()) };
    }
}

/// The capsule's pointer, if it still bears this name.
///
/// # Safety
/// `capsule` must be an object and the interpreter attached.
unsafe fn unused(capsule: *mut ffi::PyObject, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: handed on to the caller.
    if unsafe { ffi::PyCapsule_IsValid(capsule, name.as_ptr()) } == 0 {
        return None;
    }
    // SAFETY: the capsule is valid under this name.
    NonNull::new(unsafe { ffi::PyCapsule_GetPointer(capsule, name.as_ptr()) })
}

/// Memory that came in a capsule.
struct Taken {
    start: *const u8,
    len: usize,
    _structure: Structure,
}

enum Structure {
    Legacy(NonNull<Legacy>),
    Versioned(NonNull<Versioned>),
}

// SAFETY: the memory is only read, and DLPack lets a deleter be called from any thread.
unsafe impl Send for Structure {}
// SAFETY: as above.
unsafe impl Sync for Structure {}
// SAFETY: as above.
unsafe impl Send for Taken {}
// SAFETY: as above.
unsafe impl Sync for Taken {}

impl Drop for Structure {
    fn drop(&mut self) {
        match *self {
            Self::Legacy(made) => {
                // SAFETY: alive until its deleter is called.
                if let Some(delete) = unsafe { made.as_ref() }.deleter {
                    // SAFETY: this holder calls the deleter once.
                    unsafe { delete(made.as_ptr()) };
                }
            }
            Self::Versioned(made) => {
                // SAFETY: alive until its deleter is called.
                if let Some(delete) = unsafe { made.as_ref() }.deleter {
                    // SAFETY: this holder calls the deleter once.
                    unsafe { delete(made.as_ptr()) };
                }
            }
        }
    }
}

impl Structure {
    /// Takes the structure out of a capsule.
    fn take(capsule: &Bound<'_, PyAny>) -> PyResult<Self> {
        let object = capsule.as_ptr();
        // SAFETY: an object, and the interpreter is attached.
        if let Some(made) = unsafe { unused(object, VERSIONED) } {
            // SAFETY: renaming is how a consumer takes the structure; the name is static.
            unsafe { ffi::PyCapsule_SetName(object, VERSIONED_USED.as_ptr()) };
            return Ok(Self::Versioned(made.cast()));
        }
        // SAFETY: as above.
        if let Some(made) = unsafe { unused(object, LEGACY) } {
            // SAFETY: as above.
            unsafe { ffi::PyCapsule_SetName(object, LEGACY_USED.as_ptr()) };
            return Ok(Self::Legacy(made.cast()));
        }
        Err(bad_input(capsule.py(), "`__dlpack__` gave no capsule that DLPack knows"))
    }

    fn major(&self) -> u32 {
        match self {
            Self::Legacy(_) => MAJOR,
            // SAFETY: alive while `self` is; the version stands first in every version.
            Self::Versioned(made) => unsafe { made.as_ref() }.major,
        }
    }

    fn described(&self) -> &Described {
        match self {
            // SAFETY: alive while `self` is.
            Self::Legacy(made) => &unsafe { made.as_ref() }.tensor,
            // SAFETY: alive while `self` is, and of the version that was checked.
            Self::Versioned(made) => &unsafe { made.as_ref() }.tensor,
        }
    }
}

impl Memory for Taken {
    fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the producer keeps the memory until the deleter is called, which happens on drop.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// A tensor of whatever has `__dlpack__`: over the same memory if the elements lie together.
pub(crate) fn import(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = object.py();
    let (device, _): (i32, i32) = object.call_method0("__dlpack_device__")?.extract()?;
    if device != CPU.0 && device != PINNED {
        return Err(bad_input(
            py,
            &format!("expected memory of the CPU, got DLPack device {device}"),
        ));
    }
    let kwargs = PyDict::new(py);
    kwargs.set_item("max_version", (MAJOR, 0))?;
    let capsule = match object.call_method("__dlpack__", (), Some(&kwargs)) {
        // Producers from before the version was asked for.
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyTypeError>(py) => {
            object.call_method0("__dlpack__")?
        }
        other => other?,
    };
    let structure = Structure::take(&capsule)?;
    if structure.major() != MAJOR {
        let text = format!("expected DLPack version {MAJOR}, got {}", structure.major());
        return Err(unsupported(py, &text));
    }
    to_tensor(py, structure)
}

fn to_tensor(py: Python<'_>, structure: Structure) -> PyResult<Tensor> {
    let described = structure.described();
    let dtype = from_dlpack(described.code, described.bits)
        .filter(|_| described.lanes == 1)
        .ok_or_else(|| {
            let Described { code, bits, lanes, .. } = described;
            unsupported(
                py,
                &format!("DLPack elements of code {code}, {bits} bits and {lanes} lanes"),
            )
        })?;
    let Some(element) = dtype.element_bytes() else {
        return Err(unsupported(py, &format!("DLPack elements of `{dtype}`, which share bytes")));
    };
    let rank = usize::try_from(described.ndim).map_err(|_| bad_input(py, "a negative rank"))?;
    // SAFETY: the producer says that `shape` holds `ndim` numbers.
    let shape = unsafe { numbers(described.shape, rank) };
    // SAFETY: as above, of strides, where they are given.
    let strides = unsafe { numbers(described.strides, rank) };
    let dims: Vec<usize> = shape
        .iter()
        .map(|&size| usize::try_from(size).map_err(|_| bad_input(py, "a negative dimension")))
        .collect::<PyResult<_>>()?;
    let layout = Layout { dtype, element, together: are_together(shape, strides) };
    let strides = strides.to_vec();
    let start = described.data.cast_const().cast::<u8>().wrapping_add(
        usize::try_from(described.byte_offset).map_err(|_| bad_input(py, "an offset too large"))?,
    );
    layout.tensor(py, structure, start, dims, &strides)
}

/// How the elements of a structure lie.
struct Layout {
    dtype: DType,
    element: usize,
    together: bool,
}

impl Layout {
    fn tensor(
        &self,
        py: Python<'_>,
        structure: Structure,
        start: *const u8,
        dims: Vec<usize>,
        strides: &[i64],
    ) -> PyResult<Tensor> {
        let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        let len = count
            .and_then(|count| count.checked_mul(self.element))
            .ok_or_else(|| bad_input(py, "dimensions overflow"))?;
        let tensor = if self.together {
            Tensor::from_memory(
                self.dtype,
                dims,
                std::sync::Arc::new(Taken { start, len, _structure: structure }),
            )
        } else {
            let mut bytes = Vec::with_capacity(len);
            for offset in Offsets::new(&dims, strides) {
                let at = start.wrapping_offset(offset.wrapping_mul(self.element.cast_signed()));
                // SAFETY: the producer says that every element its strides reach is there; the
                // structure is alive until the end of this function.
                bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(at, self.element) });
            }
            Tensor::from_bytes(self.dtype, dims, &bytes)
        };
        tensor.map_err(|error| bad_tensor(py, error))
    }
}

/// # Safety
/// `start` must be null or point to `count` numbers that live as long as the result.
unsafe fn numbers<'a>(start: *const i64, count: usize) -> &'a [i64] {
    if start.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: handed on to the caller.
    unsafe { std::slice::from_raw_parts(start, count) }
}

fn are_together(shape: &[i64], strides: &[i64]) -> bool {
    let expected = row_major(shape);
    let same = |axis: usize| shape[axis] == 1 || strides[axis] == expected[axis];
    strides.is_empty() || shape.contains(&0) || (0..shape.len()).all(same)
}

/// Element offsets of strided dimensions in row-major order.
struct Offsets<'a> {
    dims: &'a [usize],
    strides: &'a [i64],
    index: Vec<usize>,
    left: usize,
}

impl<'a> Offsets<'a> {
    fn new(dims: &'a [usize], strides: &'a [i64]) -> Self {
        Self { dims, strides, index: vec![0; dims.len()], left: dims.iter().product() }
    }
}

impl Iterator for Offsets<'_> {
    type Item = isize;

    fn next(&mut self) -> Option<isize> {
        self.left = self.left.checked_sub(1)?;
        let terms = self.index.iter().zip(self.strides);
        let offset: i64 =
            terms.map(|(&at, &stride)| i64::try_from(at).unwrap_or(0).wrapping_mul(stride)).sum();
        for axis in (0..self.dims.len()).rev() {
            self.index[axis] += 1;
            if self.index[axis] < self.dims[axis] {
                break;
            }
            self.index[axis] = 0;
        }
        isize::try_from(offset).ok()
    }
}
