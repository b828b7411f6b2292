//! Values: what runs take and give.

use core::ffi::c_void;

use crate::{BufferHandle, Str};

/// No value: an optional input that is left out, an output that nobody wants.
pub const KIND_NONE: u32 = 0;
/// A tensor.
pub const KIND_TENSOR: u32 = 1;
/// A list of values: `items`.
pub const KIND_SEQUENCE: u32 = 2;
/// A value that may be absent: none or one of `items`.
pub const KIND_OPTIONAL: u32 = 3;
/// Only in types: state that outlives runs.
pub const KIND_STATE: u32 = 4;

/// Numbers of the element types. Plain ones are those of ONNX's `TensorProto.DataType`; a block
/// format is [`dtype::BLOCK`] plus its GGML type number.
#[expect(missing_docs, reason = "the names say it")]
pub mod dtype {
    pub const F32: u32 = 1;
    pub const U8: u32 = 2;
    pub const I8: u32 = 3;
    pub const U16: u32 = 4;
    pub const I16: u32 = 5;
    pub const I32: u32 = 6;
    pub const I64: u32 = 7;
    pub const STRING: u32 = 8;
    pub const BOOL: u32 = 9;
    pub const F16: u32 = 10;
    pub const F64: u32 = 11;
    pub const U32: u32 = 12;
    pub const U64: u32 = 13;
    pub const C64: u32 = 14;
    pub const C128: u32 = 15;
    pub const BF16: u32 = 16;
    pub const F8E4M3FN: u32 = 17;
    pub const F8E4M3FNUZ: u32 = 18;
    pub const F8E5M2: u32 = 19;
    pub const F8E5M2FNUZ: u32 = 20;
    pub const U4: u32 = 21;
    pub const I4: u32 = 22;
    pub const F4E2M1: u32 = 23;
    pub const F8E8M0: u32 = 24;
    pub const U2: u32 = 25;
    pub const I2: u32 = 26;
    pub const F6E2M3: u32 = 27;
    pub const F6E3M2: u32 = 28;
    /// Added to a GGML type number.
    pub const BLOCK: u32 = 0x1000;
}

/// Of an output: nobody but who receives it reads or writes its memory.
pub const VALUE_UNSHARED: u32 = 1;

/// A value and what hangs on it.
///
/// Who gets a value from the other side may use it during the call. To use its memory longer, it
/// calls `retain(owner)` (if that is not null) and later `release(owner)`, from any thread. A value
/// that a provider gives out (an output it has made) comes with one reference: the host calls
/// `release(owner)` once for it. An output whose `data` or `buffer` the host has set before the call
/// is written there and stays the host's. An output with [`VALUE_UNSHARED`] is the host's alone while it holds
/// the reference: the host may write to it.
///
/// Frozen within a major version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// [`KIND_TENSOR`], …
    pub kind: u32,
    /// The element type of a tensor: [`dtype`].
    pub dtype: u32,
    /// How many dimensions.
    pub rank: u32,
    /// [`VALUE_UNSHARED`] or zero.
    pub flags: u32,
    /// The dimensions.
    pub dims: *const i64,
    /// Elements in row-major order, in host memory, aligned to 64 bytes or to the element; null for
    /// device memory and for texts. Constants of a graph lie where the model's file has them, at any
    /// address.
    pub data: *mut c_void,
    /// Bytes at `data` or in `buffer`.
    pub bytes: u64,
    /// Device memory, or null.
    pub buffer: *mut BufferHandle,
    /// Where in `buffer` the elements start.
    pub buffer_offset: u64,
    /// The texts of a tensor of texts.
    pub texts: *const Str,
    /// The items of a sequence or optional.
    pub items: *const Value,
    /// How many items.
    pub item_count: usize,
    /// See the struct.
    pub owner: *mut c_void,
    /// See the struct; null where the memory cannot be kept.
    pub retain: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// See the struct; null where there is nothing to release.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

impl Value {
    /// No value.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            kind: KIND_NONE,
            dtype: 0,
            rank: 0,
            flags: 0,
            dims: core::ptr::null(),
            data: core::ptr::null_mut(),
            bytes: 0,
            buffer: core::ptr::null_mut(),
            buffer_offset: 0,
            texts: core::ptr::null(),
            items: core::ptr::null(),
            item_count: 0,
            owner: core::ptr::null_mut(),
            retain: None,
            release: None,
        }
    }
}
