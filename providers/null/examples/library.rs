//! The provider as a library of its own: `cargo build -p remuda-null --example remuda_null`.

remuda_sdk::export_provider!(remuda_null::NullBackend);
