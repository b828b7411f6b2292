//! States: what is asked for, and the functions of the table that work on them.

use std::ffi::c_void;

use remuda_abi::{self as abi, InstanceHandle, StateHandle, Status};
use remuda_bridge::{Failure, dtype_from_code};
use remuda_ir::{OpError, StateRef, StateType};

use crate::backend::Backend;
use crate::fence::{fence, fence_or};
use crate::table::{backend, null};

/// A state to be made: a key/value cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRequest {
    /// What it holds.
    pub ty: StateType,
    /// Sequences that may be alive at once, named from 0 on.
    pub sequences: u32,
    /// Positions in all, over all sequences.
    pub capacity: u64,
}

fn size(what: &str, value: impl TryInto<usize>) -> Result<usize, Failure> {
    value.try_into().map_err(|_| Failure::Invalid(format!("`{what}` of a state is too large")))
}

/// # Safety
/// `desc` must be null or alive during the call.
unsafe fn request(desc: *const abi::StateDesc) -> Result<StateRequest, Failure> {
    // SAFETY: handed on to the caller.
    let desc = unsafe { desc.as_ref() }.ok_or_else(|| null("desc"))?;
    let dtype = dtype_from_code(desc.dtype)
        .ok_or_else(|| Failure::Invalid(format!("element type {} is not known", desc.dtype)))?;
    let window = size("window", desc.window)?;
    let ty = StateType {
        dtype,
        heads: size("heads", desc.heads)?,
        key_dim: size("key_dim", desc.key_dim)?,
        value_dim: size("value_dim", desc.value_dim)?,
        window: (window > 0).then_some(window),
    };
    ty.check()?;
    Ok(StateRequest { ty, sequences: desc.sequences, capacity: desc.capacity })
}

/// The state behind a handle.
///
/// # Safety
/// `state` must be null or come from [`create`] and not be freed.
pub(crate) unsafe fn state<'a>(state: *mut StateHandle) -> Result<&'a StateRef, Failure> {
    // SAFETY: handed on to the caller.
    unsafe { state.cast::<StateRef>().as_ref() }.ok_or_else(|| null("state"))
}

/// The states of a run.
///
/// # Safety
/// There must be `args.state_count` handles as for [`state`].
pub(crate) unsafe fn states_of(args: &abi::RunArgs) -> Result<Vec<StateRef>, Failure> {
    if args.states.is_null() && args.state_count > 0 {
        return Err(null("states"));
    }
    // SAFETY: handed on to the caller, for every one of them.
    (0..args.state_count).map(|at| unsafe { state(*args.states.add(at)) }.cloned()).collect()
}

pub(crate) unsafe extern "C" fn bytes<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    desc: *const abi::StateDesc,
    out: *mut u64,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let (backend, request) = unsafe { (backend::<B>(instance)?, request(desc)?) };
        let bytes = backend.state_bytes(device, &request)?;
        // SAFETY: the contract.
        *unsafe { out.as_mut() }.ok_or_else(|| null("out"))? = bytes;
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn create<B: Backend>(
    instance: *mut InstanceHandle,
    device: u32,
    desc: *const abi::StateDesc,
    out: *mut *mut StateHandle,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let (backend, request) = unsafe { (backend::<B>(instance)?, request(desc)?) };
        if out.is_null() {
            return Err(null("out"));
        }
        let state = backend.create_state(device, &request)?;
        // SAFETY: `out` is not null and the host's to be written.
        unsafe { *out = Box::into_raw(Box::new(state)).cast() };
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn free(state: *mut StateHandle) {
    if !state.is_null() {
        // SAFETY: the handle is the box of `create` and is freed once.
        fence_or((), || drop(unsafe { Box::from_raw(state.cast::<StateRef>()) }));
    }
}

pub(crate) unsafe extern "C" fn length(
    handle: *mut StateHandle,
    sequence: u32,
    out: *mut u64,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let length = unsafe { state(handle) }?.length(sequence)?;
        // SAFETY: the contract.
        *unsafe { out.as_mut() }.ok_or_else(|| null("out"))? = length as u64;
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn truncate(
    handle: *mut StateHandle,
    sequence: u32,
    length: u64,
) -> Status {
    // SAFETY: the contract.
    fence(|| Ok(unsafe { state(handle) }?.truncate(sequence, size("length", length)?)?))
}

pub(crate) unsafe extern "C" fn copy(
    handle: *mut StateHandle,
    from: u32,
    to: u32,
    length: u64,
) -> Status {
    // SAFETY: the contract.
    fence(|| Ok(unsafe { state(handle) }?.copy(from, to, size("length", length)?)?))
}

pub(crate) unsafe extern "C" fn export(
    handle: *mut StateHandle,
    sequence: u32,
    start: u64,
    end: u64,
    context: *mut c_void,
    write: abi::WriteFn,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let state = unsafe { state(handle) }?;
        let positions = size("start", start)?..size("end", end)?;
        let mut stopped = false;
        let mut bytes = Vec::new();
        state.export(sequence, positions, &mut |position| {
            bytes.clear();
            bytes.extend(position.iter().flat_map(|value| value.to_le_bytes()));
            if !stopped {
                // SAFETY: the host's callback; the bytes live during the call.
                stopped = unsafe { write(context, bytes.as_ptr(), bytes.len()) } != 0;
            }
        })?;
        if stopped { Err(Failure::from(OpError::Cancelled)) } else { Ok(()) }
    })
}

pub(crate) unsafe extern "C" fn import(
    handle: *mut StateHandle,
    sequence: u32,
    positions: u64,
    data: *const u8,
    bytes: usize,
) -> Status {
    fence(|| {
        // SAFETY: the contract.
        let state = unsafe { state(handle) }?;
        let numbers = size("positions", positions)?.checked_mul(state.ty().position_len());
        let expected = numbers.and_then(|numbers| numbers.checked_mul(4));
        if expected != Some(bytes) || (data.is_null() && bytes > 0) {
            return Err(Failure::Invalid(format!(
                "{positions} positions do not take {bytes} bytes"
            )));
        }
        let data = if data.is_null() {
            &[]
        } else {
            // SAFETY: the contract: `bytes` readable bytes.
            unsafe { std::slice::from_raw_parts(data, bytes) }
        };
        let values: Vec<f32> =
            data.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
        Ok(state.append(sequence, &values)?)
    })
}
