//! The provider as a library of its own: `cargo build -p remuda-reference --example remuda_reference`.

remuda_sdk::export_provider!(remuda_reference::ReferenceBackend);
