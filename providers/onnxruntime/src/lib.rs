//! The execution providers of an installed ONNX Runtime behind the provider contract.
//!
//! Nothing is linked: `libonnxruntime` is found and loaded when the provider is opened (`find`), and
//! each of its execution providers that opens is a device (`device`). Whether a device takes a node is
//! asked of the library itself, with a model of that one node (`ask`); a region becomes a model in
//! memory (`lower`) and a session (`program`), whose weights stay where they are.

mod api;
mod ask;
mod backend;
mod device;
mod find;
mod lower;
mod program;
mod proto;
#[cfg(test)]
mod tests;
mod watch;

remuda_sdk::export_provider!(backend::OrtBackend, manifest = include_str!("../manifest.toml"));
