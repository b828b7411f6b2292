//! Runs one graph on several providers, and says what ran where and why.
//!
//! A [`Target`] is a device that may run nodes; [`Selection`] turns the names a user gives into
//! targets in order of preference. A [`Session`] asks every target about every node, lets
//! `remuda-plan` decide, compiles each part on its target, and runs the parts in order, moving values
//! between memories where it must. Each run leaves a [`Receipt`].
//!
//! The contract:
//!
//! * What the CPU alone would compute is what comes out, whoever computed it: a target that fails is
//!   set aside, the rest is planned again, and the run starts over from its inputs, which nothing has
//!   changed. Only a [`Contract`] that forbids this makes it an error.
//! * A target that refuses a region loses it, with the reason kept in the plan.
//! * A graph that one target in host memory takes whole runs as if there were no session.
//! * Nothing is silent: every fallback is in the plan or in the receipt.
#![forbid(unsafe_code)]

mod ask;
mod build;
mod contract;
mod cost;
mod error;
mod names;
mod program;
mod receipt;
mod region;
mod run;
mod select;
mod session;
mod slots;
mod target;
mod watch;

pub use contract::{Contract, Strictness};
pub use error::ExecError;
pub use receipt::{Failover, Moved, PartReceipt, Receipt};
pub use remuda_plan as plan;
pub use select::{SelectError, Selection};
pub use session::{Options, RunRequest, Session};
pub use target::{Place, Target};
