//! The devices of ggml's backend libraries behind the provider contract.
//!
//! Nothing is linked: the folder of ggml's libraries is found and loaded when the provider is opened
//! (`find`), and every device that they register is a device here (`device`). A node becomes ggml
//! operators by one function (`lower`), which serves two purposes: with sizes made up it answers whether
//! a device takes the node, with the sizes of a run it builds the graph that is computed (`program`).
//! ggml ends the process where its rules are broken, so `api` checks them all before each call.

mod api;
mod backend;
mod cache;
mod device;
mod find;
mod lower;
mod program;
#[cfg(test)]
mod tests;

remuda_sdk::export_provider!(backend::GgmlBackend, manifest = include_str!("../manifest.toml"));
