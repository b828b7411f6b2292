//! Ctrl-C: the first one ends the run at its next step, the second one the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

static PRESSED: AtomicBool = AtomicBool::new(false);

/// The flag that Ctrl-C sets, for runs to look at.
pub(crate) fn flag() -> &'static AtomicBool {
    &PRESSED
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
