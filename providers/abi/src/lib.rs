//! The provider contract: one table of C functions.
//!
//! A provider is a library that exports one function, [`ENTRY_SYMBOL`], which returns a
//! [`Provider`] table, and one data section, [`MANIFEST_SECTION`], which the host reads from the file
//! before any code of the library runs. From the table the host opens an *instance*, asks it for
//! *devices*, asks what each device *supports* of a graph, has regions *compiled* into programs, and
//! *runs* them over values and states. The C header is generated from this crate.
//!
//! The rules, in short (`ABI.md` has them in full):
//!
//! * Every struct that may grow starts with its size; fields are only appended, within one major
//!   version; the reader looks at no field past the size it is given. Unknown *required* flags are
//!   refused.
//! * Nothing unwinds across the boundary. Every call returns a [`Status`]; a failed call leaves its
//!   inputs and states unmodified and hands out nothing that must be freed, save its message.
//! * The host validates before it calls: a provider may assume that a graph obeys the verifier's
//!   rules, but checks the shapes that its own kernels rely on, in release builds too.
//! * Lists from provider to host go through a callback, one item at a time: the host never trusts a
//!   count that a provider gives.
//! * Structs hold raw pointers and are still shared between threads: a table is plain data that nobody
//!   writes after it was handed out.
//! * Pointers that the host passes live until the call returns, unless the field says otherwise.
//!   Constants of a region live, unmoved, until the program is freed.
#![no_std]
#![expect(unsafe_code, reason = "tables of function pointers are shared between threads")]

mod graph;
mod host;
mod layout;
mod provider;
mod target;
mod value;

pub use graph::{
    ATTR_FLOAT, ATTR_FLOATS, ATTR_GRAPH, ATTR_INT, ATTR_INTS, ATTR_TENSOR, ATTR_TEXT, ATTR_TEXTS,
    ATTR_TYPE, Attr, DIM_UNKNOWN, Graph, Node, VALUE_CAPTURE, VALUE_CONST, VALUE_INPUT, VALUE_MADE,
    VALUE_NONE, VALUE_STATE, ValueInfo, ValueType,
};
pub use host::{Host, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, Task};
pub use layout::{LAYOUT_HASH, layout_text};
pub use provider::{
    BufferHandle, COST_DECLARED, COST_MEASURED, COST_MODELLED, COST_UNKNOWN, CompileOptions, Cost,
    DEVICE_HOST_MEMORY, DEVICE_IMPORTS_HOST, DEVICE_NO_RESULTS, DEVICE_STREAMS, DeviceInfo,
    EventHandle, InstanceHandle, KeyValue, MemoryInfo, ProgramHandle, ProgramInfo, Proposal,
    Provider, RunArgs, SUPPORT_IF, SUPPORT_NO, SUPPORT_YES, StateDesc, StateHandle, StepTime,
    StreamHandle, Support, WriteFn,
};
pub use target::{TARGET_ARCH, TARGET_ENV, TARGET_OS};
pub use value::{
    KIND_NONE, KIND_OPTIONAL, KIND_SEQUENCE, KIND_STATE, KIND_TENSOR, VALUE_UNSHARED, Value, dtype,
};

use core::ffi::{CStr, c_void};

/// Grows when something existing changes: hosts and providers of different majors do not mix.
pub const ABI_MAJOR: u32 = 1;
/// Grows when something is appended: the older side of the two decides what is used.
pub const ABI_MINOR: u32 = 0;

/// The one symbol of a provider library: `const remuda_provider *remuda_provider_entry(uint32_t
/// host_abi_major)`. It returns null for a major it does not speak.
pub const ENTRY_SYMBOL: &CStr = c"remuda_provider_entry";
/// The type of the entry symbol.
pub type EntryFn = unsafe extern "C" fn(host_abi_major: u32) -> *const Provider;

/// The section that holds the manifest: TOML, UTF-8. Mach-O allows 16 bytes of a name and PE 8: there
/// it is called [`MANIFEST_SECTION_SHORT`].
pub const MANIFEST_SECTION: &str = ".remuda_manifest";
/// See [`MANIFEST_SECTION`].
pub const MANIFEST_SECTION_SHORT: &str = ".remuda";
/// A manifest of more bytes is refused.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024;

/// A piece of UTF-8 text. Not terminated by a zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// The first byte; may be null when `len` is 0.
    pub ptr: *const u8,
    /// Bytes.
    pub len: usize,
}

impl Str {
    /// A text that lives as long as the program.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// No text.
    #[must_use]
    pub const fn empty() -> Self {
        Self { ptr: core::ptr::null(), len: 0 }
    }
}

// SAFETY: a text is plain data; whoever hands it out says how long it lives.
unsafe impl Send for Str {}
// SAFETY: as above.
unsafe impl Sync for Str {}

/// It went well.
pub const OK: u32 = 0;
/// The caller's input is wrong: the model or its inputs break a rule.
pub const INVALID: u32 = 1;
/// Valid, but this provider cannot do it.
pub const UNSUPPORTED: u32 = 2;
/// Memory does not suffice: `needed` and `free` say how much.
pub const OUT_OF_MEMORY: u32 = 3;
/// The device is gone; every handle of the instance is worthless but must still be freed.
pub const DEVICE_LOST: u32 = 4;
/// The host asked for the call to end.
pub const CANCELLED: u32 = 5;
/// A bug of the provider.
pub const INTERNAL: u32 = 6;

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// [`OK`], [`INVALID`], …; the host takes an unknown code as [`INTERNAL`].
    pub code: u32,
    /// The node that the failure is about, by index in the region, or `u32::MAX`.
    pub node: u32,
    /// For [`OUT_OF_MEMORY`]: bytes asked for.
    pub needed: u64,
    /// For [`OUT_OF_MEMORY`]: bytes that were free.
    pub free: u64,
    /// What happened, in words.
    pub message: Str,
    /// Whoever reads the message calls `release(owner)` afterwards, unless `release` is null.
    pub owner: *mut c_void,
    /// See `owner`.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

impl Status {
    /// It went well.
    #[must_use]
    pub const fn ok() -> Self {
        Self::fixed(OK, "")
    }

    /// A failure with a message that lives as long as the program.
    #[must_use]
    pub const fn fixed(code: u32, message: &'static str) -> Self {
        Self {
            code,
            node: u32::MAX,
            needed: 0,
            free: 0,
            message: Str::new(message),
            owner: core::ptr::null_mut(),
            release: None,
        }
    }
}
