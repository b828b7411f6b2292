//! Trying a library in a child process: a driver that crashes or hangs takes the child down and not
//! the host.
//!
//! The child says what it is about to do, then what it found. The host waits as long as the deadline
//! allows; then it ends the child and what it started.

mod child;
mod kernels;
mod parent;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use child::try_one;
pub(super) use parent::{Probed, run};

/// The name of this job of worker processes.
pub(crate) const JOB: &str = "probe";

/// What a trial process found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The provider's name, from its table.
    pub name: String,
    /// Its version, from its table.
    pub version: String,
    /// How well this build fits this machine.
    pub score: u32,
    /// Every device, usable or not.
    pub devices: Vec<DeviceReport>,
}

/// A device as a trial process found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// How calls name it.
    pub index: u32,
    /// `cpu`, `cuda`, …
    pub kind: String,
    /// Its name, for people.
    pub name: String,
    /// What stays the same over restarts and tells it from its twins.
    pub unique_id: String,
    /// The driver and its version.
    pub driver: String,
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Bytes that were free, if it says.
    pub free_bytes: Option<u64>,
    /// Why it cannot be used, if it cannot: the provider says so, or a small kernel failed.
    pub unusable: Option<String>,
    /// What came of a small kernel; absent where the provider says that it cannot be used.
    pub trial: Option<KernelTrial>,
}

/// What came of a small kernel on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelTrial {
    /// This operator ran and gave what it must.
    Ran(String),
    /// The device takes none of the operators that are tried.
    NoneTaken,
    /// It says that its results mean nothing: none was tried.
    NoResults,
    /// It failed, or gave something wrong.
    Failed(String),
}

impl Report {
    /// The reasons of the devices that cannot be used.
    #[must_use]
    pub fn unusable(&self) -> Vec<String> {
        let reason = |device: &DeviceReport| {
            Some(format!("{} `{}`: {}", device.kind, device.name, device.unusable.as_ref()?))
        };
        self.devices.iter().filter_map(reason).collect()
    }
}

/// What the child is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    library: PathBuf,
    options: Vec<(String, String)>,
    /// Libraries that the host has loaded and that no search would find: the library finds them in the
    /// host, so it must find them here.
    preload: Vec<PathBuf>,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// What it does next.
    Stage(String),
    /// The system's loader refuses the library.
    NotLoaded(String),
    /// The provider refuses, or its table cannot be used.
    Refused(String),
    /// The provider breaks the contract.
    Lies(String),
    /// It went well.
    Done(Report),
}

/// What the child does after its last line.
const ENDING: &str = "ending the process";
