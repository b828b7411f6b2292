//! Engines: what a provider has made of a region, to be given to it again.

use std::ffi::c_void;

use remuda_bridge::{Failure, failure_of};

use crate::Program;
use crate::instance::ended;

/// No engine is larger: a provider that gives more is not believed.
const MOST_BYTES: u64 = 16 << 30;

impl Program {
    /// What [`crate::Provider::compile_with`] takes for the same region on the same device; nothing if the
    /// provider has no such thing.
    ///
    /// # Errors
    /// What the provider says.
    pub fn engine(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(call) = self.provider().0.table.0.export_engine else { return Ok(None) };
        let mut engine: Vec<u8> = Vec::new();
        // SAFETY: the handle is alive, the context ours during the call.
        let status = unsafe { call(self.handle(), (&raw mut engine).cast(), take) };
        // SAFETY: a status of the provider.
        match ended(unsafe { failure_of(status) }) {
            Ok(()) => Ok((!engine.is_empty()).then_some(engine)),
            Err(Failure::Unsupported { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

unsafe extern "C" fn take(context: *mut c_void, bytes: *const u8, len: usize) -> u32 {
    // SAFETY: the context is what `engine` gave.
    let engine = unsafe { &mut *context.cast::<Vec<u8>>() };
    let total = (engine.len() as u64).saturating_add(len as u64);
    if bytes.is_null() || total > MOST_BYTES || engine.try_reserve(len).is_err() {
        return 1;
    }
    // SAFETY: the contract: `len` readable bytes.
    engine.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes, len) });
    0
}
