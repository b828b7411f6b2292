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
//! * [`States`] (caches) lie with the part that uses them and count as its target's memory. A run that
//!   fails is undone in all of them; one on a lost target is restored from the mirror or, without one,
//!   reported as [`ExecError::StatesLost`], so that no position is lost or counted twice unseen.
//! * A target that refuses a region loses it, with the reason kept in the plan.
//! * A graph that one target in host memory takes whole runs as if there were no session.
//! * Nothing is silent: every fallback is in the plan or in the receipt.
#![forbid(unsafe_code)]

mod ask;
mod bounds;
mod budgets;
mod build;
mod call;
mod contract;
mod cost;
mod engines;
mod error;
mod names;
mod options;
mod program;
mod receipt;
mod region;
mod remembered;
mod replan;
mod run;
mod select;
mod session;
mod slots;
mod speeds;
mod states;
mod target;
mod trial;
mod watch;
mod work;

pub use budgets::budgets;
pub use error::ExecError;
pub use options::{Options, ShapeClass};
pub use receipt::{Failover, Moved, PartReceipt, Receipt};
pub use remembered::identify;
pub use remuda_plan as plan;
pub use remuda_plan::{Contract, Demands, Strictness};
pub use select::{SelectError, Selection};
pub use session::{RunRequest, Session};
pub use speeds::{Copying, Speeds};
pub use states::{StateOptions, States};
pub use target::{Place, Target};
pub use trial::{Trial, TriedClass};
pub use work::work_bytes;
