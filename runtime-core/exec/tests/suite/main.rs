//! Sessions over the CPU and the fake provider.

mod budgets;
mod classes;
mod common;
mod contract;
mod decoder;
mod drills;
mod encoded;
mod layers;
mod placement;
mod remembered;
mod select;
mod stateful;
mod states;
mod together;
