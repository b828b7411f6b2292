//! The side of the worker.

use std::io::{BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Order;

/// An order is small.
const MAX_ORDER_BYTES: u64 = 4 << 20;

/// What a worker process is to do.
#[derive(Debug)]
pub struct Job(Order);

impl Job {
    /// The job of this process, the first line of standard input; none if there is none. To be called by the
    /// program that [`super::Prober`] names, before it does anything else.
    #[must_use]
    pub fn receive() -> Option<Self> {
        die_with_parent();
        let mut text = String::new();
        std::io::stdin().lock().take(MAX_ORDER_BYTES).read_line(&mut text).ok()?;
        serde_json::from_str(&text).ok().map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.job
    }

    /// What belongs to it; none if it is not of this type.
    #[must_use]
    pub fn body<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.0.body.clone()).ok()
    }

    /// What tells the host of it.
    #[must_use]
    pub fn teller(&self) -> Teller {
        Teller(self.0.token.clone())
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent() {
    use rustix::process::{Signal, set_parent_process_death_signal};

    // Without it the child ends at its parent's deadline.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}

/// Tells the host of a job.
#[derive(Debug)]
pub struct Teller(String);

impl Teller {
    /// Tells one thing.
    pub fn tell(&self, line: &impl Serialize) {
        let Ok(json) = serde_json::to_string(line) else { return };
        let mut out = std::io::stdout().lock();
        // Whoever asked may be gone: there is nobody else to tell. The first line break ends what a
        // library may have printed.
        let _ = out.write_all(format!("\n{} {json}\n", self.0).as_bytes());
        let _ = out.flush();
    }
}
