//! Providers in worker processes.
//!
//! [`table`] is a table of the contract whose functions hand every call to a worker process, where
//! [`serve`] does it with the real provider. Tensors cross in shared memory, everything else in lines of
//! JSON. Whoever uses the table sees devices that take and give values in host memory.
//!
//! The contract: a worker that crashes, or that goes on after it was told to stop, is a lost device; what
//! was made from it is worthless and can still be freed. Closing the provider ends the worker.
#![forbid(unsafe_code)]

mod link;
mod message;
mod remote;
mod share;
mod state;
mod worker;

pub use message::Isolated;
pub use remote::{OPTION, for_library, table};
pub use remuda_host::loading::{BuiltIn, Source};
pub use worker::serve;

/// The name of this job of worker processes.
pub const JOB: &str = "provider";
