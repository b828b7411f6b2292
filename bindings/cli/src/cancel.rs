//! Ctrl-C: the first one ends the run at its next step, the second one the program at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

static PRESSED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The flag that Ctrl-C sets, for runs to look at.
pub(crate) fn flag() -> &'static AtomicBool {
    &PRESSED
}

/// The same flag, for who keeps it.
pub(crate) fn shared() -> &'static Arc<AtomicBool> {
    &PRESSED
}

/// Whether Ctrl-C was pressed.
pub(crate) fn is_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// Forgets it: what it ended has ended.
pub(crate) fn clear() {
    PRESSED.store(false, Ordering::Relaxed);
}

/// Sets the flag at Ctrl-C from now on. Where signals cannot be had, Ctrl-C ends the program as ever.
pub(crate) fn listen() {
    let _ = ctrlc::set_handler(|| {
        if PRESSED.swap(true, Ordering::Relaxed) {
            leave();
        }
    });
}

#[expect(clippy::exit, reason = "the second Ctrl-C means now")]
fn leave() {
    std::process::exit(130);
}
