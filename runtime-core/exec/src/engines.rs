//! Engines in the cache: a provider that gives them compiles a region it has seen before from its own
//! engine.
//!
//! An engine belongs to the bytes of all weights. Those of a file are told by the state of the file and
//! their place in it, with samples of the bytes, so that no model is read as a whole; others, which have
//! been made while loading, are hashed. That is done only for a target that is known to give engines: a
//! note beside the engines says so.

use remuda_cache::{Cache, Key, KeyMaker, Kind};
use remuda_host::{Failure, Program};
use remuda_ir::Graph;
use remuda_tensor::Tensor;

use crate::remembered::identify;
use crate::target::Target;

/// What the note holds.
const NOTE: &[u8] = b"gives engines";

/// Compiles a region, from an engine where there is one.
pub(crate) fn compile(
    cache: Option<&Cache>,
    target: &Target,
    region: Graph,
    opset: u32,
) -> Result<Program, Failure> {
    let (provider, device) = (&target.provider, target.device.index);
    let Some(cache) = cache else { return provider.compile(device, region, opset) };
    let note = identify(KeyMaker::new("gives engines"), target).finish();
    let known = cache.get(Kind::Engine, &note).is_some();
    if known {
        let key = key(target, &region, opset);
        if let Some(engine) = cache.get(Kind::Engine, &key)
            && let Ok(program) = provider.compile_with(device, region.clone(), opset, Some(&engine))
        {
            return Ok(program);
        }
    }
    let program = provider.compile(device, region.clone(), opset)?;
    // A provider that fails to give an engine has still compiled.
    if let Ok(Some(engine)) = program.engine() {
        // A cache that cannot be written to costs time, nothing else.
        let _ = cache.put(Kind::Engine, &key(target, &region, opset), &engine);
        let _ = cache.put(Kind::Engine, &note, NOTE);
    }
    Ok(program)
}

/// Bytes that are looked at of a weight from a file, at its beginning, in its middle and at its end.
const SAMPLE: usize = 512;

/// The key of an engine: the region with all its weights, the device and what drives it.
fn key(target: &Target, region: &Graph, opset: u32) -> Key {
    let key = identify(KeyMaker::new("engine"), target)
        .number("opset", u64::from(opset))
        .text("region", &remuda_ir::text::print_outline(region));
    let weights = region.values().filter_map(|(_, value)| value.constant());
    weights.fold(key, weight).finish()
}

fn weight(key: KeyMaker, tensor: &Tensor) -> KeyMaker {
    let whole = tensor.contiguous();
    let Some(bytes) = whole.bytes() else { return key.text("weight", &format!("{tensor:?}")) };
    match tensor.origin().filter(|_| bytes.len() > 3 * SAMPLE) {
        None => key.bytes("weight", bytes),
        Some(origin) => {
            let starts = [0, bytes.len() / 2, bytes.len() - SAMPLE];
            let samples = starts.iter().map(|&start| &bytes[start..(start + SAMPLE)]);
            samples.fold(key.text("origin", &origin), |key, sample| key.bytes("sample", sample))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use remuda_cache::{Key, KeyMaker};
    use remuda_tensor::{DType, Memory, Tensor};

    use super::weight;

    /// Bytes of a file in some state.
    struct OfFile(Vec<u8>, &'static str);

    impl Memory for OfFile {
        fn bytes(&self) -> &[u8] {
            &self.0
        }

        fn origin(&self, range: Range<usize>) -> Option<String> {
            (!self.1.is_empty()).then(|| format!("{} {range:?}", self.1))
        }
    }

    fn key(bytes: &[u8], state: &'static str) -> Key {
        let memory = Arc::new(OfFile(bytes.to_vec(), state));
        let tensor = Tensor::from_memory(DType::U8, [bytes.len()], memory).unwrap();
        weight(KeyMaker::new("test"), &tensor).finish()
    }

    #[test]
    fn weights_of_files_are_told_by_state_and_samples_and_others_by_all_bytes() {
        let plain = vec![1; 100_000];
        let changed = |at: usize| {
            let mut bytes = plain.clone();
            bytes[at] = 2;
            bytes
        };
        assert_eq!(key(&plain, "one"), key(&plain, "one"));
        assert_ne!(key(&plain, "one"), key(&plain, "other"));
        assert_ne!(key(&plain, "one"), key(&plain, ""));
        for at in [0, 50_000, 99_999] {
            assert_ne!(key(&changed(at), "one"), key(&plain, "one"));
        }
        // Not read: a file that changes is in another state.
        assert_eq!(key(&changed(20_000), "one"), key(&plain, "one"));
        assert_ne!(key(&changed(20_000), ""), key(&plain, ""));
    }
}
