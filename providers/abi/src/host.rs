//! What the host offers to a provider.

use core::ffi::c_void;

use crate::Str;

/// Severities of log lines.
pub const LOG_ERROR: u32 = 1;
/// Something that the user should know.
pub const LOG_WARN: u32 = 2;
/// Something that may interest the user.
pub const LOG_INFO: u32 = 3;
/// Something for the provider's author.
pub const LOG_DEBUG: u32 = 4;

/// A piece of work of [`Host::parallel`].
pub type Task = unsafe extern "C" fn(context: *mut c_void, chunk: usize);

/// What the host offers. Lives as long as the instance that it is given to. All functions may be
/// called from any thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Bytes of this struct as the host knows it.
    pub struct_size: usize,
    /// The host's [`crate::ABI_MAJOR`].
    pub abi_major: u32,
    /// The host's [`crate::ABI_MINOR`].
    pub abi_minor: u32,
    /// Handed to every function here.
    pub context: *mut c_void,
    /// Threads that the provider may keep busy at once, its own included.
    pub threads: u32,
    /// Zero.
    pub reserved: u32,
    /// Takes a log line.
    pub log: Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Str)>,
    /// Runs `task(task_context, 0 .. chunks)` on the host's threads and returns when all are done.
    /// Null where the host has none to lend.
    pub parallel: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            chunks: usize,
            task: Task,
            task_context: *mut c_void,
        ),
    >,
}
