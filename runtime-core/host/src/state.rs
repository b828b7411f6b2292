//! States of a provider: key/value caches.

use std::ffi::c_void;
use std::ops::Range;

use remuda_abi::{self as abi, StateHandle};
use remuda_bridge::{Failure, dtype_code, failure_of};
use remuda_ir::StateType;

use crate::Provider;
use crate::instance::{ended, lacks};

/// A key/value cache that lives where its provider wants it. Sequences are named from 0 on.
///
/// Runs and changes of one state must not overlap: whoever shares it takes care of that.
#[derive(Debug)]
pub struct State {
    handle: *mut StateHandle,
    ty: StateType,
    provider: Provider,
}

// SAFETY: the contract lets functions be called from any thread.
unsafe impl Send for State {}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(free) = self.provider.0.table.0.free_state {
            // SAFETY: the handle came from `create_state` and is freed once.
            unsafe { free(self.handle) };
        }
    }
}

fn narrow(what: &str, value: usize) -> Result<u32, Failure> {
    u32::try_from(value).map_err(|_| Failure::Invalid(format!("{value} {what} are too many")))
}

fn describe(ty: &StateType, sequences: u32, capacity: u64) -> Result<abi::StateDesc, Failure> {
    ty.check()?;
    Ok(abi::StateDesc {
        struct_size: size_of::<abi::StateDesc>(),
        dtype: dtype_code(ty.dtype),
        heads: narrow("heads", ty.heads)?,
        key_dim: narrow("elements of a key", ty.key_dim)?,
        value_dim: narrow("elements of a value", ty.value_dim)?,
        sequences,
        reserved: 0,
        capacity,
        window: ty.window.unwrap_or(0) as u64,
    })
}

impl Provider {
    /// How many bytes a state would hold on a device.
    ///
    /// # Errors
    /// When there can be no such state, or what the provider says.
    pub fn state_bytes(
        &self,
        device: u32,
        ty: &StateType,
        sequences: u32,
        capacity: u64,
    ) -> Result<u64, Failure> {
        let desc = describe(ty, sequences, capacity)?;
        let call = self.0.table.0.state_bytes.ok_or_else(|| lacks("state_bytes"))?;
        let mut bytes = 0;
        // SAFETY: the pointers live during the call.
        let status = unsafe { call(self.0.handle, device, &raw const desc, &raw mut bytes) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(bytes)
    }

    /// Makes a state on a device: for so many sequences at once, and so many positions over all of
    /// them.
    ///
    /// # Errors
    /// When there can be no such state, or what the provider says.
    pub fn create_state(
        &self,
        device: u32,
        ty: &StateType,
        sequences: u32,
        capacity: u64,
    ) -> Result<State, Failure> {
        let desc = describe(ty, sequences, capacity)?;
        let call = self.0.table.0.create_state.ok_or_else(|| lacks("create_state"))?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointers live during the call.
        let status = unsafe { call(self.0.handle, device, &raw const desc, &raw mut handle) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        if handle.is_null() {
            return Err(Failure::Internal("it made a state and gave none".into()));
        }
        Ok(State { handle, ty: ty.clone(), provider: self.clone() })
    }
}

impl State {
    /// What it holds.
    #[must_use]
    pub fn ty(&self) -> &StateType {
        &self.ty
    }

    pub(crate) fn handle(&self) -> *mut StateHandle {
        self.handle
    }

    /// Whether it lives where this provider can use it.
    pub(crate) fn is_of(&self, provider: &Provider) -> bool {
        std::sync::Arc::ptr_eq(&self.provider.0, &provider.0)
    }

    /// How many positions a sequence has.
    ///
    /// # Errors
    /// What the provider says.
    pub fn length(&self, sequence: u32) -> Result<u64, Failure> {
        let call = self.provider.0.table.0.state_length.ok_or_else(|| lacks("state_length"))?;
        let mut length = 0;
        // SAFETY: the handle is alive, the number ours.
        let status = unsafe { call(self.handle, sequence, &raw mut length) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        Ok(length)
    }

    /// Cuts a sequence to so many positions; 0 ends it.
    ///
    /// # Errors
    /// What the provider says: that it is shorter, or that positions which the window still reaches
    /// were given up.
    pub fn truncate(&mut self, sequence: u32, length: u64) -> Result<(), Failure> {
        let call = self.provider.0.table.0.truncate_state.ok_or_else(|| lacks("truncate_state"))?;
        // SAFETY: the handle is alive.
        let status = unsafe { call(self.handle, sequence, length) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })
    }

    /// Makes sequence `to` a copy of the first `length` positions of `from`.
    ///
    /// # Errors
    /// As for [`State::truncate`].
    pub fn copy(&mut self, from: u32, to: u32, length: u64) -> Result<(), Failure> {
        let call = self.provider.0.table.0.copy_state.ok_or_else(|| lacks("copy_state"))?;
        // SAFETY: the handle is alive.
        let status = unsafe { call(self.handle, from, to, length) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })
    }

    /// Positions of a sequence in the neutral form: see [`remuda_ir::State`].
    ///
    /// # Errors
    /// What the provider says, or that it gives out another number of bytes than asked for.
    pub fn export(&self, sequence: u32, positions: Range<u64>) -> Result<Vec<f32>, Failure> {
        let call = self.provider.0.table.0.export_state.ok_or_else(|| lacks("export_state"))?;
        let count = positions.end.saturating_sub(positions.start);
        let expected = usize::try_from(count).unwrap_or(usize::MAX);
        let expected = expected.saturating_mul(self.ty.position_len()).saturating_mul(4);
        let mut taken = Taken { bytes: Vec::new(), most: expected };
        // SAFETY: the context is ours and lives during the call.
        let status = unsafe {
            call(
                self.handle,
                sequence,
                positions.start,
                positions.end,
                (&raw mut taken).cast(),
                take,
            )
        };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })?;
        if taken.bytes.len() != expected {
            return Err(Failure::Internal(format!(
                "it gave out {} bytes of a state, expected {expected}",
                taken.bytes.len()
            )));
        }
        let values = taken.bytes.as_chunks::<4>().0;
        Ok(values.iter().map(|&value| f32::from_le_bytes(value)).collect())
    }

    /// Appends positions in the neutral form to a sequence.
    ///
    /// # Errors
    /// When they do not fit, or what the provider says.
    pub fn import(&mut self, sequence: u32, positions: &[f32]) -> Result<(), Failure> {
        let call = self.provider.0.table.0.import_state.ok_or_else(|| lacks("import_state"))?;
        let count = positions.len() / self.ty.position_len().max(1);
        let bytes: Vec<u8> = positions.iter().flat_map(|value| value.to_le_bytes()).collect();
        // SAFETY: the bytes live during the call.
        let status =
            unsafe { call(self.handle, sequence, count as u64, bytes.as_ptr(), bytes.len()) };
        // SAFETY: a status of the provider.
        ended(unsafe { failure_of(status) })
    }
}

/// Bytes that a provider gives out, no more than were asked for.
struct Taken {
    bytes: Vec<u8>,
    most: usize,
}

unsafe extern "C" fn take(context: *mut c_void, bytes: *const u8, len: usize) -> u32 {
    // SAFETY: the context is what `export` gave.
    let taken = unsafe { &mut *context.cast::<Taken>() };
    if bytes.is_null() || len > taken.most.saturating_sub(taken.bytes.len()) {
        return 1;
    }
    // SAFETY: the contract: `len` readable bytes.
    taken.bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes, len) });
    0
}
