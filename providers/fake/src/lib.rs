//! A made-up accelerator over the CPU's kernels.
//!
//! What it takes, what that costs, how much memory it has, how fast it copies and how it breaks is
//! said by options ([`Config`]), so that placement, budgets, copies and failover can be tested where
//! there is no accelerator. Its results are the CPU's; its memory is separate: values get into a
//! buffer and out of it by upload and download alone.
#![forbid(unsafe_code)]

mod backend;
mod clock;
pub mod config;
mod device;
mod meeting;
mod memory;
mod program;
mod state;

pub use backend::FakeBackend;
pub use config::Config;

/// The table of the fake provider.
#[must_use]
pub fn table() -> &'static remuda_sdk::abi::Provider {
    remuda_sdk::table::<FakeBackend>()
}
