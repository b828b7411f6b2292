//! The devices of a loaded ggml, by the kinds that users name.

use std::sync::{Mutex, PoisonError};

use crate::api::{DeviceClass, Engine, Library, RawDevice};

/// A device and what computes on it.
#[derive(Debug)]
pub(crate) struct GgmlDevice {
    /// The kind: `cpu`, `cuda`, …
    pub(crate) kind: String,
    pub(crate) raw: RawDevice,
    threads: usize,
    /// Engines that nobody uses just now.
    idle: Mutex<Vec<Engine>>,
}

/// Backends whose kind has another name than theirs in lower case.
const KINDS: &[(&str, &str)] =
    &[("HIP", "rocm"), ("ROCm", "rocm"), ("MTL", "metal"), ("BLAS", "blas")];

fn kind_of(backend: &str) -> String {
    let known = KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(backend));
    known.map_or_else(|| backend.to_lowercase(), |(_, kind)| (*kind).to_owned())
}

/// Every device that can be used alone, the CPU first.
pub(crate) fn devices(library: &'static Library, threads: usize) -> Vec<GgmlDevice> {
    let mut raw = library.devices();
    raw.retain(|device| device.class() != DeviceClass::Helper);
    raw.sort_by_key(|device| device.class() != DeviceClass::Cpu);
    let device = |raw: RawDevice| GgmlDevice {
        kind: kind_of(&raw.backend()),
        raw,
        threads,
        idle: Mutex::new(Vec::new()),
    };
    raw.into_iter().map(device).collect()
}

impl GgmlDevice {
    /// Lends something that computes here to `work`.
    pub(crate) fn with_engine<R>(&self, work: impl FnOnce(&mut Engine) -> R) -> Option<R> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut engine = idle.or_else(|| self.raw.engine(self.threads))?;
        let result = work(&mut engine);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(engine);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::kind_of;

    #[test]
    fn kinds_are_what_users_name() {
        assert_eq!(
            ["CPU", "CUDA", "ROCm", "Vulkan"].map(kind_of),
            ["cpu", "cuda", "rocm", "vulkan"]
        );
    }
}
