//! Reading front to back from a bounded slice. Nothing is taken that is not there.

use crate::error::{GgufError, Place, Problem};

/// A problem and the byte where it shows; the caller knows the place.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) problem: Problem,
}

impl Fault {
    pub(crate) fn new(offset: usize, problem: Problem) -> Self {
        Self { offset, problem }
    }

    pub(crate) fn at(self, place: Place) -> GgufError {
        GgufError::new(place, Some(self.offset), self.problem)
    }
}

/// A place in a file.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Where the next byte is.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.offset)
    }

    /// What was read since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.offset).unwrap_or_default()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Fault> {
        let start = self.offset;
        let end = usize::try_from(count).ok().and_then(|count| start.checked_add(count));
        let taken = end.and_then(|end| Some((end, self.bytes.get(start..end)?)));
        let ends = || Fault::new(start, Problem::Ends { expected: count, left: self.left() });
        let (end, bytes) = taken.ok_or_else(ends)?;
        self.offset = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let left = self.left();
        let start = self.offset;
        let bytes = self.take(N as u64)?;
        let array = bytes.first_chunk().copied();
        array.ok_or(Fault::new(start, Problem::Ends { expected: N as u64, left }))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Fault> {
        let start = self.offset;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            got => Err(Fault::new(start, Problem::Bool { got })),
        }
    }

    /// A count of things that take at least `each` bytes, all of which come after `before` more
    /// bytes: never more than what is left can hold.
    pub(crate) fn count(
        &mut self,
        things: &'static str,
        each: usize,
        before: usize,
    ) -> Result<usize, Fault> {
        let start = self.offset;
        let count = self.u64()?;
        let left = self.left().saturating_sub(before);
        let needed = usize::try_from(count).ok().and_then(|count| count.checked_mul(each));
        match (needed, usize::try_from(count)) {
            (Some(needed), Ok(count)) if needed <= left => Ok(count),
            _ => Err(Fault::new(start, Problem::Count { count, things, each, left })),
        }
    }

    /// A text: its length in bytes, then UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.u64()?;
        self.utf8(length)
    }

    /// A text of `length` bytes.
    pub(crate) fn utf8(&mut self, length: u64) -> Result<&'a str, Fault> {
        let start = self.offset;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let valid = error.valid_up_to();
            let byte = bytes.get(valid).copied().unwrap_or_default();
            Fault::new(start.saturating_add(valid), Problem::Utf8 { byte })
        })
    }
}
