//! The bytes under tensors: aligned owned memory, memory shared with somebody else, and typed views.
//!
//! This is the only module of the crate with unsafe code. What it promises: a typed slice is only
//! ever made of bytes that are long enough, aligned, and valid for the type.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// Memory that somebody owns: a mapped file, a foreign array, a vector.
pub trait Memory: Send + Sync {
    /// The bytes; the same slice at every call while `self` lives, written to by [`Memory::bytes_mut`] alone.
    fn bytes(&self) -> &[u8];

    /// The same bytes, to be written, where nobody else reads them.
    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        None
    }

    /// This range of the bytes will not be read soon: memory that can be had again, as that of a
    /// file can, may be given back. The bytes stay readable.
    fn discard(&self, range: Range<usize>) {
        let _ = range;
    }

    /// Where this range of the bytes comes from, where that tells them from all others and can be told
    /// without reading them: which file in which state, and the place in it.
    fn origin(&self, range: Range<usize>) -> Option<String> {
        let _ = range;
        None
    }
}

/// A type whose values are plain bytes: no padding, no pointers.
///
/// # Safety
/// The type must have no padding and no interior mutability, and every byte pattern must be valid
/// unless [`Scalar::valid`] refuses it.
pub unsafe trait Scalar: Copy + Send + Sync + 'static {
    /// Whether these bytes (a whole number of values) are valid values.
    #[must_use]
    fn valid(_bytes: &[u8]) -> bool {
        true
    }
}

macro_rules! scalars {
    ($($rust:ty),* $(,)?) => {$(
        // SAFETY: a number without padding; every byte pattern is a value.
        unsafe impl Scalar for $rust {}
    )*};
}

scalars!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, half::f16, half::bf16);
scalars!(crate::float8::F8E4M3FN, crate::float8::F8E4M3FNUZ, crate::float8::F8E5M2);
scalars!(crate::float8::F8E5M2FNUZ, crate::float8::F8E8M0);

// SAFETY: one byte; patterns other than 0 and 1 are refused by `valid`.
unsafe impl Scalar for bool {
    fn valid(bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| byte <= 1)
    }
}

/// Alignment of owned tensor memory: a cache line and the widest vector register.
pub const ALIGN: usize = 64;

/// Owned memory, zeroed when made, aligned to [`ALIGN`].
///
/// The allocator is asked for [`ALIGN`] bytes more at its own alignment: only so does large memory come as the
/// system's untouched zero pages, which whoever writes to them first brings in, on every thread at once. Asked for
/// a larger alignment, the allocator writes the zeros itself.
pub struct AlignedBytes {
    allocated: NonNull<u8>,
    /// The first aligned byte.
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is owned and plain; access follows `&`/`&mut self`.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// `len` zero bytes. `None` if no memory could be had.
    #[must_use]
    pub fn try_zeroed(len: usize) -> Option<Self> {
        let layout = Self::layout(len)?;
        // SAFETY: the layout has a size above zero.
        let allocated = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        // SAFETY: at most `ALIGN - 1` bytes on, where `len` bytes are left of the `ALIGN` more.
        let start = unsafe { allocated.add(allocated.align_offset(ALIGN)) };
        Some(Self { allocated, start, len })
    }

    fn layout(len: usize) -> Option<Layout> {
        Layout::array::<u128>(len.checked_add(ALIGN)?.div_ceil(size_of::<u128>())).ok()
    }

    /// `len` zero bytes.
    ///
    /// # Panics
    /// Aborts like any allocation when memory is exhausted.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self::try_zeroed(len)
            .unwrap_or_else(|| handle_alloc_error(Self::layout(len).unwrap_or(Layout::new::<u8>())))
    }

    /// How many bytes there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a size, not a collection")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start` is valid for `len` initialised bytes as long as `self` lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: allocated by `try_zeroed` with this very layout.
            unsafe { dealloc(self.allocated.as_ptr(), layout) };
        }
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBytes({} bytes)", self.len)
    }
}

/// A vector of scalars as memory.
pub(crate) struct VecMemory<T: Scalar>(pub Vec<T>);

impl<T: Scalar> Memory for VecMemory<T> {
    fn bytes(&self) -> &[u8] {
        as_bytes(&self.0)
    }
}

/// The bytes of a slice of scalars.
#[must_use]
pub fn as_bytes<T: Scalar>(values: &[T]) -> &[u8] {
    // SAFETY: a scalar has no padding, so all bytes are initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// These bytes as scalars: `None` if they are misaligned, no whole number of values, or invalid.
#[must_use]
pub fn cast<T: Scalar>(bytes: &[u8]) -> Option<&[T]> {
    let fits = bytes.len().is_multiple_of(size_of::<T>())
        && bytes.as_ptr().cast::<T>().is_aligned()
        && T::valid(bytes);
    // SAFETY: length, alignment and validity were just checked; lifetimes are those of `bytes`.
    fits.then(|| unsafe {
        std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>())
    })
}

/// These bytes as scalars to be written: `None` as in [`cast`].
#[must_use]
pub fn cast_mut<T: Scalar>(bytes: &mut [u8]) -> Option<&mut [T]> {
    let fits = bytes.len().is_multiple_of(size_of::<T>())
        && bytes.as_ptr().cast::<T>().is_aligned()
        && T::valid(bytes);
    fits.then(|| {
        let count = bytes.len() / size_of::<T>();
        // SAFETY: as in `cast`, and `bytes` is borrowed exclusively; any scalar written leaves
        // initialised bytes behind.
        unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), count) }
    })
}

/// Elements of a tensor: bytes of one owner, or texts.
#[derive(Clone)]
pub(crate) enum Storage {
    /// Memory made by this crate; may be written while it has one owner.
    Owned(Arc<AlignedBytes>),
    /// Memory of somebody else.
    Shared(Arc<dyn Memory>),
    /// Texts.
    Strings(Arc<[String]>),
}

impl Storage {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes.bytes(),
            Self::Shared(memory) => memory.bytes(),
            Self::Strings(_) => &[],
        }
    }

    /// The bytes, to be written, if there is one owner and they may be.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Owned(bytes) => Some(Arc::get_mut(bytes)?.bytes_mut()),
            Self::Shared(memory) => Arc::get_mut(memory)?.bytes_mut(),
            Self::Strings(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AlignedBytes, as_bytes, cast};

    #[test]
    fn a_cast_checks_length_alignment_and_validity() {
        let words = [1u32, 2, 3];
        let bytes = as_bytes(&words);
        assert_eq!(cast::<u32>(bytes), Some(&words[..]));
        assert_eq!(cast::<u32>(&bytes[1..9]), None);
        assert_eq!(cast::<u32>(&bytes[..5]), None);
        assert_eq!(cast::<bool>(&[0, 1, 2]), None);
    }

    #[test]
    fn owned_memory_is_zeroed_and_aligned() {
        let memory = AlignedBytes::zeroed(100);
        assert_eq!(memory.bytes().as_ptr().align_offset(super::ALIGN), 0);
        assert!(memory.bytes().iter().all(|&byte| byte == 0));
        assert_eq!(AlignedBytes::zeroed(0).bytes().as_ptr().align_offset(super::ALIGN), 0);
        assert!(AlignedBytes::try_zeroed(usize::MAX).is_none());
    }
}
