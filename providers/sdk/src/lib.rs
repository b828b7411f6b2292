//! What the author of a provider in Rust sees.
//!
//! A provider implements [`Backend`] (what the project's brief calls `IBackend`) and
//! [`Compiled`], and writes `export_provider!(MyBackend)`. The macro makes the entry
//! symbol, the manifest section and the table of C functions; every function is fenced, so that a
//! panic becomes an error of the provider and never crosses into the host.
//!
//! The contract: the host has verified every graph before it asks about it. `supports_operation`
//! must be true to what `compile_subgraph` and `execute` do: a claim is a promise. A failed `execute`
//! leaves inputs as they were.
#![expect(unsafe_code, reason = "implements the C functions of the contract")]

mod backend;
mod cells;
mod fence;
pub mod manifest;
mod memory;
mod sizes;
mod state;
mod table;

pub use backend::{
    Backend, CompileRequest, Compiled, Cost, CostSource, Device, HostServices, Level, MemoryInfo,
    ProgramInfo, Proposal, RunRequest, StepTime, Support, no_options,
};
pub use cells::{CellBook, CellStep};
pub use memory::{Allocator, Buffer, DeviceTensor, Operand, check_range};
pub use remuda_abi as abi;
pub use remuda_bridge::Failure;
pub use remuda_ir as ir;
pub use remuda_tensor as tensor;
pub use sizes::{shaping_inputs, with_sizes};
pub use state::StateRequest;
pub use table::table;

/// Exports a provider from a `cdylib`: its entry symbol, and its manifest, which the host reads from
/// the file before it loads it.
///
/// The manifest says what the compiler knows (contract version and layout, target, instruction sets
/// that were compiled in), the backend's name and version, and what the author adds as TOML: needed
/// libraries and drivers, conflicts, state that a whole process shares. `docs/guide/write-a-provider.md`
/// lists the keys.
///
/// ```ignore
/// remuda_sdk::export_provider!(MyBackend);
/// remuda_sdk::export_provider!(MyBackend, manifest = include_str!("../manifest.toml"));
/// ```
///
/// Each of the two symbols is there once in a library: the crate that calls the macro is a `cdylib`
/// and nothing links it.
#[macro_export]
macro_rules! export_provider {
    ($backend:ty) => {
        $crate::export_provider!($backend, manifest = "");
    };
    ($backend:ty, manifest = $extra:expr) => {
        const _: () = assert!(
            cfg!(panic = "unwind"),
            "a provider must be built with panic = \"unwind\": a panic has to become an error"
        );

        const REMUDA_MANIFEST: $crate::manifest::Text = $crate::manifest::text(
            <$backend as $crate::Backend>::NAME,
            <$backend as $crate::Backend>::VERSION,
            $extra,
        );

        /// The manifest of the provider contract. It has a symbol so that linkers keep it.
        #[unsafe(no_mangle)]
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,.remuda"))]
        #[cfg_attr(windows, unsafe(link_section = ".remuda"))]
        #[cfg_attr(
            not(any(target_vendor = "apple", windows)),
            unsafe(link_section = ".remuda_manifest")
        )]
        pub static remuda_provider_manifest: [u8; REMUDA_MANIFEST.len()] = REMUDA_MANIFEST.bytes();

        /// The entry symbol of the provider contract.
        #[unsafe(no_mangle)]
        pub extern "C" fn remuda_provider_entry(
            host_abi_major: u32,
        ) -> *const $crate::abi::Provider {
            if host_abi_major == $crate::abi::ABI_MAJOR {
                $crate::table::<$backend>()
            } else {
                ::core::ptr::null()
            }
        }
    };
}
