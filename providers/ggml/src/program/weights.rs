//! The weights of a program on its device.

use std::sync::{Arc, Mutex, PoisonError};

use remuda_base::Map;
use remuda_sdk::Failure;
use remuda_sdk::ir::ValueId;
use remuda_sdk::tensor::Tensor;

use crate::api::{Buffer, BufferKind, Kind, Refusal, T, refuse};
use crate::device::GgmlDevice;
use crate::lower::{Form, Kept, ne_of};

/// Constants that a device reads, by what they are used for.
pub(super) struct Weights {
    device: Arc<GgmlDevice>,
    /// Memory that lays weights out for products.
    packing: Vec<BufferKind>,
    kept: Mutex<Map<(ValueId, Form), Buffer>>,
}

impl Weights {
    pub(super) fn new(device: &Arc<GgmlDevice>) -> Self {
        let packing = device.raw.packing_kinds();
        Self { device: Arc::clone(device), packing, kept: Mutex::new(Map::new()) }
    }

    /// Bytes that are held beside the model's own.
    pub(super) fn bytes(&self) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values().map(|buffer| buffer.own_bytes as u64).sum()
    }

    /// The memory that lays a weight out for products, if there is one that takes it.
    fn packing_for(&self, kind: Kind, ne: [i64; 4]) -> Result<Option<BufferKind>, Refusal> {
        /// Rows of a product of many tokens, and of one.
        const ROWS: [i64; 2] = [1, 64];
        for packing in &self.packing {
            let takes = |rows| packing.takes_product(self.device.raw, (kind, ne), rows);
            if takes(ROWS[0])? && takes(ROWS[1])? {
                return Ok(Some(*packing));
            }
        }
        Ok(None)
    }

    fn place(&self, form: Form, tensor: &Tensor) -> Result<Buffer, Failure> {
        let refused = |why: Refusal| Failure::Unsupported { node: None, text: why.text };
        let ne = ne_of(tensor.dims()).map_err(refused)?;
        let kind = Kind::of(tensor.dtype());
        let kind = kind.ok_or_else(|| refused(refuse("dtype", "ggml has no such constant")))?;
        let packing = match form {
            Form::Weight => self.packing_for(kind, ne).map_err(refused)?,
            _ => None,
        };
        if packing.is_none()
            && let Some(buffer) = Buffer::over_host(self.device.raw, tensor, ne)?
        {
            return Ok(buffer);
        }
        let memory = packing.or_else(|| self.device.raw.memory_kind());
        let memory = memory.ok_or_else(|| Failure::Internal("the device has no memory".into()))?;
        let buffer = Buffer::new(memory, kind, ne, true)?;
        let bytes = tensor.bytes().unwrap_or_default();
        if bytes.len() != buffer.bytes() {
            let text = format!("a constant of {} bytes, ggml has {}", bytes.len(), buffer.bytes());
            return Err(Failure::Unsupported { node: None, text });
        }
        buffer.write(0, bytes)?;
        tensor.discard();
        Ok(buffer)
    }

    fn constant(
        &self,
        key: (ValueId, Form),
        make: &mut dyn FnMut() -> Result<Tensor, Refusal>,
    ) -> Result<T, Refusal> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = kept.get(&key) {
            return Ok(buffer.t);
        }
        let placed = self.place(key.1, &make()?);
        let buffer = placed.map_err(|failure| match failure {
            Failure::OutOfMemory { .. } => refuse("memory", failure.to_string()),
            other => refuse("dtype", other.to_string()),
        })?;
        let t = buffer.t;
        kept.insert(key, buffer);
        Ok(t)
    }
}

/// What is kept, as one run sees it.
pub(super) struct Run<'p> {
    pub(super) program: &'p Weights,
    /// The caches of the run: tables, and how many cells are looked at.
    pub(super) caches: Vec<(ValueId, [T; 2], i64)>,
}

impl Kept for Run<'_> {
    fn constant(
        &self,
        key: (ValueId, Form),
        make: &mut dyn FnMut() -> Result<Tensor, Refusal>,
    ) -> Result<T, Refusal> {
        self.program.constant(key, make)
    }

    fn cache(&self, state: ValueId) -> Result<([T; 2], i64), Refusal> {
        let found = self.caches.iter().find(|(id, ..)| *id == state);
        let (_, tables, cells) = found.ok_or_else(|| refuse("dtype", "the cache is not given"))?;
        Ok((*tables, *cells))
    }
}
