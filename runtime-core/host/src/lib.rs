//! The host's side of the provider contract: safe handles over a provider's table.
//!
//! A [`Provider`] is an open instance; it tells its [`Device`]s, answers [`Provider::query`] about
//! every node of a graph, and compiles a region to a [`Program`], which runs. Handles own what they
//! were made from: a program keeps its provider open and the constants of its region alive.
//!
//! The contract: whatever a table holds or a call answers is checked before it is used. A provider
//! that breaks the contract gives an error that names it, never a crash of the host, as far as a
//! table of pointers can be checked at all.
#![expect(unsafe_code, reason = "calls the C functions of providers")]

mod engine;
mod instance;
pub mod loading;
mod memory;
pub mod process;
mod program;
mod proposal;
mod state;
mod table;

pub use instance::{Answer, Device, Price, Provider};
pub use memory::{Buffer, DeviceTensor, MemoryInfo, Operand};
pub use program::{Program, RunOptions, StepTime};
pub use proposal::Proposal;
pub use remuda_abi::{COST_DECLARED, COST_MEASURED, COST_MODELLED, COST_UNKNOWN, LAYOUT_HASH};
pub use remuda_bridge::{Failure, GraphExport};
pub use state::State;
pub use table::{Table, TableError};

/// Does the job of this process: what the program that [`process::Prober`] names calls, before it does
/// anything else. Says whether it is one of this crate's.
#[must_use]
pub fn serve(job: &process::Job) -> bool {
    match job.name() {
        loading::PROBE => loading::try_one(job),
        _ => false,
    }
}
