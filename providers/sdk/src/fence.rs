//! The fence: a panic inside a provider becomes a status.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use remuda_abi::Status;
use remuda_bridge::{Failure, status_of};

/// Runs one call of the contract.
pub(crate) fn fence(call: impl FnOnce() -> Result<(), Failure>) -> Status {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => Status::ok(),
        Ok(Err(failure)) => status_of(&failure),
        Err(panic) => status_of(&Failure::Internal(format!("it panicked: {}", words(&*panic)))),
    }
}

/// Runs one call that has no status; a panic in it is dropped.
pub(crate) fn fence_silent(call: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(call)));
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without words".to_owned())
}
