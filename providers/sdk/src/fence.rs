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
        Err(panic) => status_of(&Failure::Internal(format!("it panicked: {}", words(panic)))),
    }
}

/// Runs one call that has no status; `failed` stands in for its answer if it panics.
pub(crate) fn fence_or<T>(failed: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        words(panic);
        failed
    })
}

/// The words of a panic. What it carries may panic again when it is dropped, so it never is, unless it
/// is plain text.
fn words(panic: Box<dyn Any + Send>) -> String {
    let panic = match panic.downcast::<&str>() {
        Ok(text) => return (*text).to_owned(),
        Err(panic) => panic,
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            Box::leak(panic);
            "without words".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fence, fence_or};
    use remuda_bridge::failure_of;

    /// Panics when it is dropped, as a careless payload of a panic may.
    struct Sharp;

    impl Drop for Sharp {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    fn told(call: impl FnOnce()) -> String {
        let status = fence(|| {
            call();
            Ok(())
        });
        // SAFETY: a status made here, read once.
        unsafe { failure_of(status) }.map_or_else(String::new, |failure| failure.to_string())
    }

    #[test]
    fn every_kind_of_panic_stays_inside() {
        assert!(told(|| panic!("plain words")).contains("it panicked: plain words"));
        assert!(told(|| panic!("number {}", 7)).contains("it panicked: number 7"));
        assert!(told(|| std::panic::panic_any(3)).contains("it panicked: without words"));
        assert!(told(|| std::panic::panic_any(Sharp)).contains("it panicked: without words"));
        assert_eq!(fence_or(7, || std::panic::panic_any(Sharp)), 7);
    }
}
