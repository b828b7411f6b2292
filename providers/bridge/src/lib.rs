//! Graphs and values across the provider contract, both ways.
//!
//! The host turns its graphs and values into the flat structs of `remuda-abi` ([`GraphExport`],
//! [`export`]); the Rust side of a provider turns them back ([`import_graph`], [`import`]). Both
//! directions stand in one crate so that one round-trip test covers them. Memory is never copied: an
//! imported tensor holds a reference to the exporter's memory and gives it back when it is dropped.
#![expect(unsafe_code, reason = "reads and writes the raw structs of the contract")]

mod dtype;
mod export_graph;
mod import_graph;
mod keep;
mod status;
mod value;

pub use dtype::{dtype_code, dtype_from_code};
pub use export_graph::GraphExport;
pub use import_graph::import_graph;
pub use status::{Failure, failure_of, status_of};
pub use value::{export, export_result, import, import_owned};

use remuda_abi::Str;

/// The text at a pointer; invalid UTF-8 becomes replacement characters.
///
/// # Safety
/// `text` must be null or point to `len` readable bytes.
#[must_use]
pub unsafe fn read_text(text: Str) -> String {
    // SAFETY: handed on to the caller.
    String::from_utf8_lossy(unsafe { read_slice(text.ptr, text.len) }).into_owned()
}

/// A text as the contract carries it; it lives as long as `text`.
#[must_use]
pub fn borrow_text(text: &str) -> Str {
    Str { ptr: text.as_ptr(), len: text.len() }
}

/// The slice at a pointer; empty for null.
///
/// # Safety
/// `ptr` must be null, or aligned and point to `len` initialised elements that live as long as `'a`.
pub(crate) unsafe fn read_slice<'a, T>(ptr: *const T, len: usize) -> &'a [T] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: handed on to the caller.
    unsafe { std::slice::from_raw_parts(ptr, len) }
}

#[cfg(test)]
mod tests;
