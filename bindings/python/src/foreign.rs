//! Memory that a Python object owns.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use remuda::Memory;

/// Bytes of a Python object, which is kept alive.
pub(crate) struct Foreign {
    start: *const u8,
    len: usize,
    _owner: Py<PyAny>,
}

// SAFETY: the bytes are plain and only read; releasing the owner from any thread is what `Py` allows.
unsafe impl Send for Foreign {}
// SAFETY: as above.
unsafe impl Sync for Foreign {}

impl Memory for Foreign {
    fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: whoever made this promised the bytes for as long as the owner lives.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Foreign {
    /// The memory at this address.
    ///
    /// # Safety
    /// `len` bytes from `address` must be initialised and stay where they are while `owner` lives. As with every
    /// library that shares numpy's memory, nobody may write to them while a run reads them.
    pub(crate) unsafe fn at(address: usize, len: usize, owner: Py<PyAny>) -> Self {
        Self { start: std::ptr::with_exposed_provenance(address), len, _owner: owner }
    }

    /// The memory of a `bytes` object.
    pub(crate) fn of_bytes(bytes: &Bound<'_, PyBytes>) -> Arc<Self> {
        let slice = bytes.as_bytes();
        let (start, len) = (slice.as_ptr(), slice.len());
        Arc::new(Self { start, len, _owner: bytes.clone().unbind().into_any() })
    }

    /// The elements of a numpy array, `len` bytes, by its array interface.
    ///
    /// # Errors
    /// When that tells no address.
    pub(crate) fn of_array(
        array: &Bound<'_, PyAny>,
        interface: &Bound<'_, PyAny>,
        len: usize,
    ) -> PyResult<Self> {
        let (address, _): (usize, bool) =
            interface.get_item(pyo3::intern!(array.py(), "data"))?.extract()?;
        // SAFETY: callers hand in exact contiguous `numpy.ndarray`s; numpy keeps an array's memory in
        // place as long as the array lives and is not resized, which it refuses while it is referenced.
        Ok(unsafe { Self::at(address, len, array.clone().unbind()) })
    }
}
