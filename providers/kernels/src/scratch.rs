//! Working memory that a thread keeps between calls, and slices that start on a cache line.
//!
//! Packing buffers are needed by nearly every product; asking the allocator for them each time
//! would cost more than the packing of a small one.
#![expect(unsafe_code, reason = "floats that start on a cache line are kept as lines")]

use std::cell::RefCell;

use crate::memory::NoMemory;

/// A cache line of f32: what makes a vector of these start on one.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Floats that start on a cache line.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlignedFloats {
    lines: Vec<Line>,
}

impl AlignedFloats {
    /// `length` zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); length.div_ceil(LINE)] }
    }

    /// All of them, the length rounded up to whole cache lines.
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: a `Line` is exactly 16 initialised floats without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }

    /// All of them, the length rounded up to whole cache lines.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        let length = self.lines.len() * LINE;
        // SAFETY: a `Line` is exactly 16 initialised floats without padding.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), length) }
    }

    fn grow(&mut self, length: usize) {
        let lines = length.div_ceil(LINE);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; LINE]));
        }
    }

    fn reserve(&mut self, length: usize) -> Result<(), NoMemory> {
        let more = length.div_ceil(LINE).saturating_sub(self.lines.len());
        self.lines.try_reserve(more).map_err(|_| NoMemory(length))
    }
}

thread_local! {
    static FREE: RefCell<Vec<AlignedFloats>> = const { RefCell::new(Vec::new()) };
}

/// Calls `body` with `length` floats of unspecified content that belong to it until it returns.
pub(crate) fn with_scratch<R>(length: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    if length == 0 {
        return body(&mut []);
    }
    let mut floats = FREE.with_borrow_mut(|free| free.pop().unwrap_or_default());
    floats.grow(length);
    let result = body(&mut floats.as_mut_slice()[..length]);
    FREE.with_borrow_mut(|free| free.push(floats));
    result
}

/// [`with_scratch`] of a length that a model chooses.
pub(crate) fn try_with_scratch<R>(
    length: usize,
    body: impl FnOnce(&mut [f32]) -> R,
) -> Result<R, NoMemory> {
    let mut floats = FREE.with_borrow_mut(|free| free.pop().unwrap_or_default());
    let reserved = floats.reserve(length);
    FREE.with_borrow_mut(|free| free.push(floats));
    reserved.map(|()| with_scratch(length, body))
}

#[cfg(test)]
mod tests {
    use super::{AlignedFloats, try_with_scratch, with_scratch};
    use crate::memory::NoMemory;

    #[test]
    fn floats_start_on_a_cache_line_and_are_zero() {
        let floats = AlignedFloats::zeroed(17);
        assert_eq!(floats.as_slice(), [0.0; 32]);
        assert_eq!(floats.as_slice().as_ptr().align_offset(64), 0);
    }

    #[test]
    fn scratch_beyond_memory_is_refused() {
        assert_eq!(try_with_scratch(100, |floats| floats.len()), Ok(100));
        assert_eq!(try_with_scratch(usize::MAX, |_| ()), Err(NoMemory(usize::MAX)));
    }

    #[test]
    fn nested_scratch_does_not_overlap() {
        with_scratch(100, |outer| {
            outer.fill(1.0);
            with_scratch(200, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|&value| value == 1.0));
        });
    }
}
