//! How long kernels work, whatever else the machine does: an accelerator does not get slower because
//! the processor of its host is busy.

use std::time::Duration;

/// The time that this thread has computed for.
#[cfg(unix)]
pub(crate) fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The time since the first call, where threads are not told apart.
#[cfg(not(unix))]
pub(crate) fn worked() -> Duration {
    static FIRST: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    FIRST.elapsed()
}
