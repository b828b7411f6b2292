//! From `plugins.toml` to providers that may be called.
//!
//! [`Config`] says where libraries may lie. [`Registry::discover`] looks at every file: who may have
//! written it (`trust`), what its manifest and its tables of symbols say without running any of
//! it (`inspect`, `needs`), whether a child process survives it (`probe`); only then is
//! it loaded. Whatever was looked at keeps a [`Verdict`] in words, with the cure where there is one:
//! nothing is skipped in silence.
//!
//! A loaded library is never unloaded: its threads, its destructors and the code that its values point
//! to may outlive every handle.

mod check;
mod config;
mod discover;
mod inspect;
mod library;
mod manifest;
mod needs;
mod probe;
mod registry;
mod source;
mod trust;
mod verdict;

pub use config::{Config, ConfigError, Entry, Isolate, Isolation, MakeIsolated, Package};
pub use discover::Origin;
pub use library::{Library, LoadError};
pub use manifest::{Conflict, Driver, Manifest, Need};
pub use probe::{DeviceReport, KernelTrial, Report};
pub(crate) use probe::{JOB as PROBE, try_one};
pub use registry::{Found, Looked, Registry};
pub use source::{BuiltIn, Source, SourceError};
pub use verdict::Verdict;

pub use crate::process::Prober;
