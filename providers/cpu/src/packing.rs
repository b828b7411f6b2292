//! Packed weights: made before the first run, and kept in a file that the next start maps.
//!
//! Only weights of a file are kept: they are told apart without being read. A cache that cannot be used costs
//! time, nothing else.

use remuda_cache::{Cache, Key, KeyMaker, Kind, Mapped};
use remuda_ir::OpError;
use remuda_kernels::Context;
use remuda_kernels::block::{Format, PACKED_LAYOUT};
use remuda_tensor::Tensor;
use remuda_tensor::storage::AlignedBytes;

/// Smaller ones are packed faster than a file is opened.
const SMALLEST: usize = 1 << 16;

/// With what kernels pack.
#[derive(Debug, Clone, Copy)]
pub struct Packing<'a> {
    /// Threads and instructions.
    pub cx: Context<'a>,
    /// Where packed weights are kept.
    pub cache: Option<&'a Cache>,
}

/// Weights in a form of the kernels' own.
#[derive(Debug)]
pub(crate) enum Packed {
    /// Made in this process.
    Made(AlignedBytes),
    /// Made earlier, and kept in a file.
    Mapped(Mapped),
}

impl Packed {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Made(memory) => memory.bytes(),
            Self::Mapped(file) => file.bytes(),
        }
    }
}

impl Packing<'_> {
    /// Weights of a format, packed into so many bytes: those that are kept, else what `pack` writes.
    pub(crate) fn packed(
        &self,
        (format, bytes): (Format, usize),
        weights: &[&Tensor],
        pack: impl FnOnce(&mut [u8]) -> Result<(), OpError>,
    ) -> Result<Packed, OpError> {
        let kept = self.cache.filter(|_| bytes >= SMALLEST);
        let kept = kept.and_then(|cache| Some((cache, key(format, weights)?)));
        if let Some((cache, key)) = &kept
            && let Some(file) = cache.map(Kind::Packed, key)
            && file.bytes().len() == bytes
        {
            return Ok(Packed::Mapped(file));
        }
        let mut memory = AlignedBytes::try_zeroed(bytes)
            .ok_or_else(|| OpError::Resource(format!("no memory for {bytes} packed bytes")))?;
        pack(memory.bytes_mut())?;
        if let Some((cache, key)) = &kept {
            let _ = cache.put_large(Kind::Packed, key, memory.bytes());
        }
        Ok(Packed::Made(memory))
    }
}

/// What packed weights depend on; `None` where a weight is of no file.
fn key(format: Format, weights: &[&Tensor]) -> Option<Key> {
    let key = KeyMaker::new("packed weights")
        .text("remuda", env!("CARGO_PKG_VERSION"))
        .number("layout", PACKED_LAYOUT)
        .text("format", &format!("{format:?}"));
    let key = weights.iter().try_fold(key, |key, weight| {
        weight.origin()?;
        Some(key.text("dims", &format!("{:?}", weight.dims())).tensor("weight", weight))
    });
    key.map(KeyMaker::finish)
}
