//! The provider as a library of its own: `cargo build -p remuda-fake --example remuda_fake`.

remuda_sdk::export_provider!(remuda_fake::FakeBackend);
