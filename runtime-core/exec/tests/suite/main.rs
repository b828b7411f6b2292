//! Sessions over the CPU and the fake provider.

mod common;
mod contract;
mod drills;
mod placement;
mod select;
