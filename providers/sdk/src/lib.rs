//! What the author of a provider in Rust sees.
//!
//! A provider implements [`Backend`] (what the project's brief calls `IBackend`) and
//! [`Compiled`], and writes `export_provider!(MyBackend, manifest)`. The macro makes the entry
//! symbol, the manifest section and the table of C functions; every function is fenced, so that a
//! panic becomes an error of the provider and never crosses into the host.
//!
//! The contract: the host has verified every graph before it asks about it. `supports_operation`
//! must be true to what `compile_subgraph` and `execute` do: a claim is a promise. A failed `execute`
//! leaves inputs as they were.
#![expect(unsafe_code, reason = "implements the C functions of the contract")]

mod backend;
mod fence;
mod memory;
mod table;

pub use backend::{
    Backend, CompileRequest, Compiled, Cost, CostSource, Device, HostServices, Level, MemoryInfo,
    ProgramInfo, Proposal, RunRequest, StepTime, Support,
};
pub use memory::{Allocator, Buffer, DeviceTensor, Operand, check_range};
pub use remuda_abi as abi;
pub use remuda_bridge::Failure;
pub use remuda_ir as ir;
pub use remuda_tensor as tensor;
pub use table::table;

/// Exports a provider from a `cdylib`: its entry symbol and its manifest.
///
/// ```ignore
/// remuda_sdk::export_provider!(MyBackend, include_bytes!("../manifest.toml"));
/// ```
#[macro_export]
macro_rules! export_provider {
    ($backend:ty, $manifest:expr) => {
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,.remuda_manifest"))]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".remuda_manifest"))]
        static REMUDA_MANIFEST: [u8; $manifest.len()] = *$manifest;

        /// The entry symbol of the provider contract.
        #[unsafe(no_mangle)]
        pub extern "C" fn remuda_provider_entry(
            host_abi_major: u32,
        ) -> *const $crate::abi::Provider {
            if host_abi_major == $crate::abi::ABI_MAJOR {
                $crate::table::<$backend>()
            } else {
                std::ptr::null()
            }
        }
    };
}
