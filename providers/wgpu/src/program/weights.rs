//! Constants in memory of a device: each once, however many programs read it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use remuda_base::Map;
use remuda_sdk::Failure;
use remuda_sdk::tensor::Tensor;

use super::words::bytes_of;
use crate::gpu::{Gpu, Memory};
use crate::lower::Form;

/// A constant on a device.
#[derive(Debug)]
pub(crate) struct Weight {
    pub(crate) memory: Memory,
    /// Held so that nothing else comes to lie at its address, by which it is known.
    _source: Tensor,
}

/// Where a constant lies in memory of the host, its bytes, and how it is written to the device.
type Name = (usize, usize, Form);

/// The constants on one device that programs hold.
#[derive(Debug, Default)]
pub(crate) struct Weights(Mutex<Map<Name, Weak<Weight>>>);

impl Weights {
    /// A constant, written to the device if it is not there yet.
    pub(super) fn get(
        &self,
        gpu: &Gpu,
        tensor: &Tensor,
        form: Form,
    ) -> Result<Arc<Weight>, Failure> {
        let source = tensor.contiguous();
        let held = source.bytes().unwrap_or_default();
        let name = (held.as_ptr().addr(), held.len(), form);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weight) = known.get(&name).and_then(Weak::upgrade) {
            return Ok(weight);
        }
        known.retain(|_, weight| weight.strong_count() > 0);
        let bytes = bytes_of(&source, form)?;
        let memory = gpu.allocate(bytes.len() as u64)?;
        gpu.upload(&memory, 0, &bytes)?;
        drop(bytes);
        source.discard();
        let weight = Arc::new(Weight { memory, _source: source });
        known.insert(name, Arc::downgrade(&weight));
        Ok(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::Weights;
    use crate::gpu::Gpu;
    use crate::lower::Form;
    use remuda_sdk::tensor::Tensor;
    use std::sync::Arc;

    #[test]
    fn a_constant_of_two_programs_is_held_once() {
        let Some(gpu) = Gpu::first() else { return };
        let weights = Weights::default();
        let tensor = Tensor::vector(vec![1.0f32, 2.0, 3.0]);
        let first = weights.get(&gpu, &tensor, Form::Plain).unwrap();
        let again = weights.get(&gpu, &tensor, Form::Plain).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = Tensor::vector(vec![1.0f32, 2.0, 3.0]);
        assert!(!Arc::ptr_eq(&first, &weights.get(&gpu, &other, Form::Plain).unwrap()));
        drop((first, again));
        let anew = weights.get(&gpu, &tensor, Form::Plain).unwrap();
        let mut read = vec![0; 12];
        gpu.download(&anew.memory, 0, &mut read).unwrap();
        assert_eq!(read, tensor.bytes().unwrap());
    }
}
