//! The conformance kit: says of a provider whether it keeps to the contract.
//!
//! [`Kit::run`] takes a library and tries it with cases: the functions of its table called as the
//! contract allows, every operator that it claims compared with the reference kernels, memory, states,
//! threads, cancelling, failures, leaks. The cases run in worker processes, so that a crash or a hang is
//! one failed case; the [`Report`] has every case with its outcome.
//!
//! The contract: what a provider does not claim is no failure, and neither is what its author skips with
//! a reason in `conformance.toml`. Everything else is.
#![expect(unsafe_code, reason = "calls the functions of a table as no host would")]

mod bench;
mod cases;
mod kit;
mod report;
mod skips;
mod worker;

pub use kit::{Kit, KitError};
pub use remuda_host::loading::{BuiltIn, Source as Subject};
pub use report::{CaseReport, Group, Outcome, Report};
pub use skips::{SkipError, Skips};
pub use worker::serve;

/// The name of this kit's job of worker processes.
pub const JOB: &str = "conform";
