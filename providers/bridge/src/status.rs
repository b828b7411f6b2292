//! Failures across the contract.

use std::ffi::c_void;
use std::fmt;

use remuda_abi::{self as abi, Status};
use remuda_ir::OpError;

use crate::{borrow_text, read_text};

/// How a call to a provider failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The model or its inputs break a rule.
    Invalid(String),
    /// Valid, but the provider cannot do it.
    Unsupported {
        /// The node that it is about, by index in the region.
        node: Option<u32>,
        /// Why.
        text: String,
    },
    /// Memory does not suffice.
    OutOfMemory {
        /// Bytes asked for; 0 where the provider does not say.
        needed: u64,
        /// Bytes that were free; 0 where the provider does not say.
        free: u64,
        /// What for.
        text: String,
    },
    /// The device is gone.
    DeviceLost(String),
    /// The host asked for the call to end.
    Cancelled,
    /// A bug of the provider.
    Internal(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Unsupported { text, .. } => f.write_str(text),
            Self::OutOfMemory { needed: 0, text, .. } => write!(f, "out of memory: {text}"),
            Self::OutOfMemory { needed, free, text } => {
                write!(f, "out of memory: {text} (needed {needed} bytes, {free} free)")
            }
            Self::DeviceLost(text) => write!(f, "the device is lost: {text}"),
            Self::Cancelled => f.write_str("the run was cancelled"),
            Self::Internal(text) => write!(f, "a bug of the provider: {text}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Invalid(text) => Self::Invalid(text),
            OpError::Unsupported(text) => Self::Unsupported { node: None, text },
            OpError::Resource(text) => Self::OutOfMemory { needed: 0, free: 0, text },
            OpError::DeviceLost(text) => Self::DeviceLost(text),
            OpError::Cancelled => Self::Cancelled,
            OpError::Bug(text) => Self::Internal(text),
        }
    }
}

impl From<Failure> for OpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(text) => Self::Invalid(text),
            Failure::Unsupported { text, .. } => Self::Unsupported(text),
            Failure::OutOfMemory { needed: 0, text, .. } => Self::Resource(text),
            Failure::Cancelled => Self::Cancelled,
            Failure::OutOfMemory { .. } => Self::Resource(failure.to_string()),
            Failure::DeviceLost(text) => Self::DeviceLost(text),
            Failure::Internal(text) => Self::Bug(text),
        }
    }
}

/// The status that tells of a failure. Its message is freed by whoever reads it.
#[must_use]
pub fn status_of(failure: &Failure) -> Status {
    let (code, text) = match failure {
        Failure::Invalid(text) => (abi::INVALID, text.clone()),
        Failure::Unsupported { text, .. } => (abi::UNSUPPORTED, text.clone()),
        Failure::OutOfMemory { text, .. } => (abi::OUT_OF_MEMORY, text.clone()),
        Failure::DeviceLost(text) => (abi::DEVICE_LOST, text.clone()),
        Failure::Cancelled => (abi::CANCELLED, String::new()),
        Failure::Internal(text) => (abi::INTERNAL, text.clone()),
    };
    let mut status = Status::fixed(code, "");
    if let Failure::Unsupported { node: Some(node), .. } = failure {
        status.node = *node;
    }
    if let Failure::OutOfMemory { needed, free, .. } = failure {
        (status.needed, status.free) = (*needed, *free);
    }
    if !text.is_empty() {
        let text = Box::new(text);
        status.message = borrow_text(&text);
        status.owner = Box::into_raw(text).cast();
        status.release = Some(release_text);
    }
    status
}

unsafe extern "C" fn release_text(owner: *mut c_void) {
    // SAFETY: `owner` is the box that `status_of` gave out, and is released once.
    drop(unsafe { Box::from_raw(owner.cast::<String>()) });
}

/// What a status says, `None` if it went well. Frees its message.
///
/// # Safety
/// `status` must be as the contract says: its message readable, its `release` callable once.
#[must_use]
pub unsafe fn failure_of(status: Status) -> Option<Failure> {
    // SAFETY: handed on to the caller.
    let text = unsafe { read_text(status.message) };
    if let Some(release) = status.release {
        // SAFETY: handed on to the caller.
        unsafe { release(status.owner) };
    }
    Some(match status.code {
        abi::OK => return None,
        abi::INVALID => Failure::Invalid(text),
        abi::UNSUPPORTED => {
            Failure::Unsupported { node: (status.node != u32::MAX).then_some(status.node), text }
        }
        abi::OUT_OF_MEMORY => {
            Failure::OutOfMemory { needed: status.needed, free: status.free, text }
        }
        abi::DEVICE_LOST => Failure::DeviceLost(text),
        abi::CANCELLED => Failure::Cancelled,
        abi::INTERNAL => Failure::Internal(text),
        other => Failure::Internal(format!("status {other} is none of the contract: {text}")),
    })
}
