//! Bad plugins: each is built here, looked at, and must get exactly the words that its fault deserves.
//! The host lives through all of them.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod code;
mod files;
mod support;

use remuda_host::process::Job;

/// Not a test: what the tests start as their trial process.
#[test]
#[ignore = "the trial process of the other tests"]
fn trial_process() {
    if let Some(job) = Job::receive() {
        let _ = remuda_host::serve(&job);
    }
}
