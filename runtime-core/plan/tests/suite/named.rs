//! Cases with a name: one behaviour each, on graphs small enough to follow.

mod build;
mod memory;
mod order;
mod reasons;
mod replan;
