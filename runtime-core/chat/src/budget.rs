//! What a template may use up.

use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::error::limit;

/// What a template may use up in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Instructions of the template engine.
    pub instructions: u64,
    /// Bytes of all texts that are made or printed, for each byte of the conversation.
    pub bytes_per_byte: u64,
    /// The same, however short the conversation is.
    pub bytes: u64,
}

impl Limits {
    /// The longest template that is read. The longest that is known has 20,000 bytes.
    pub const TEMPLATE_BYTES: usize = 1 << 20;
    /// How deep calls of macros may nest.
    pub const RECURSION: usize = 200;
}

impl Default for Limits {
    fn default() -> Self {
        Self { instructions: 2_000_000, bytes_per_byte: 64, bytes: 16 << 20 }
    }
}

/// The bytes that are left.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, conversation_bytes: u64) -> Self {
        let more = limits.bytes_per_byte.saturating_mul(conversation_bytes);
        Self { left: AtomicU64::new(limits.bytes.saturating_add(more)) }
    }

    /// Uses up `bytes`.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), Error> {
        let take = |left: u64| left.checked_sub(bytes as u64);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| limit("its share of text"))
    }

    /// Uses up the size of `value`.
    pub(crate) fn charge_value(&self, value: &Value) -> Result<(), Error> {
        self.charge(size(value))
    }
}

/// About how much work it is to copy a value: nested values are shared, not copied.
pub(crate) fn size(value: &Value) -> usize {
    match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Bytes => value.as_bytes().map_or(0, <[u8]>::len),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            value.len().unwrap_or(0).saturating_mul(size_of::<Value>())
        }
        _ => 0,
    }
}
