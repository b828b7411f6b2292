//! Any GPU with Vulkan, Metal or Direct3D 12 behind the provider contract.
//!
//! A region becomes a list of launches of WGSL kernels (`shaders`) on buffers: once for the sizes of its inputs
//! (`lower`), by the same functions that answer whether a node can be taken. A program keeps the lists of the sizes it
//! met, with their buffers, and runs one by a single submission (`program`). What touches the device lies in `gpu`.

mod backend;
mod cache;
mod gpu;
mod lower;
mod program;
mod shaders;
#[cfg(test)]
mod tests;

remuda_sdk::export_provider!(backend::WgpuBackend, manifest = include_str!("../manifest.toml"));
