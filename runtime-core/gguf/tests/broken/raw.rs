//! Files put together byte by byte, right or wrong.

use remuda_gguf::{Gguf, GgufError};

/// Value type numbers.
pub(crate) const U8: u32 = 0;
pub(crate) const U32: u32 = 4;
pub(crate) const I32: u32 = 5;
pub(crate) const BOOL: u32 = 7;
pub(crate) const TEXT: u32 = 8;
pub(crate) const ARRAY: u32 = 9;

/// Tensor type numbers.
pub(crate) const F32: u32 = 0;
pub(crate) const Q4_0: u32 = 2;
pub(crate) const Q4_K: u32 = 12;

/// A file in the making.
#[derive(Clone)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// A header of version 3.
    pub(crate) fn new(tensors: u64, entries: u64) -> Self {
        Self::bytes(b"GGUF").u32(3).u64(tensors).u64(entries)
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(crate) fn and(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.and(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.and(&value.to_le_bytes())
    }

    pub(crate) fn text(self, text: &[u8]) -> Self {
        self.u64(text.len() as u64).and(text)
    }

    /// A key and the type of its value.
    pub(crate) fn key(self, key: &str, kind: u32) -> Self {
        self.text(key.as_bytes()).u32(kind)
    }

    /// A key, the array type, and the type and count of the elements.
    pub(crate) fn array(self, key: &str, kind: u32, count: u64) -> Self {
        self.key(key, ARRAY).u32(kind).u64(count)
    }

    /// A tensor entry; dimensions innermost first.
    pub(crate) fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let ranked = self.text(name.as_bytes()).u32(u32::try_from(dims.len()).unwrap());
        dims.iter().fold(ranked, |raw, &dim| raw.u64(dim)).u32(kind).u64(offset)
    }

    /// Zeros up to a multiple of 32, and then as many as given.
    pub(crate) fn data(mut self, bytes: usize) -> Self {
        let start = self.0.len().next_multiple_of(32);
        self.0.resize(start + bytes, 0);
        self
    }

    /// Asserts that the file is refused with this family and message, and a hint.
    pub(crate) fn is_refused(&self, expected: &str) {
        is_refused(Gguf::parse(&self.0).map(drop), expected);
    }
}

/// Asserts the family and the message of an error, and that it has a hint.
pub(crate) fn is_refused(result: Result<(), GgufError>, expected: &str) {
    let error = result.expect_err("the file was accepted");
    assert_eq!(format!("{}: {error}", error.family()), expected);
    assert!(!error.hint().is_empty() && !error.to_string().ends_with('.'));
}
