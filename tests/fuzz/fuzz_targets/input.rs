//! The fuzzer's bytes as memory.

use remuda_tensor::Memory;

/// Bytes that are owned.
pub struct Bytes(pub Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}
