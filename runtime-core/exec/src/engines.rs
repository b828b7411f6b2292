//! Engines in the cache: a provider that gives them compiles a region it has seen before from its own
//! engine.
//!
//! An engine belongs to the bytes of all weights: to tell them apart takes time where they have been made while
//! loading. That is done only for a target that is known to give engines: a note beside the engines says so.

use remuda_cache::{Cache, Key, KeyMaker, Kind};
use remuda_host::{Failure, Program};
use remuda_ir::Graph;

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

/// The key of an engine: the region with all its weights, the device and what drives it.
fn key(target: &Target, region: &Graph, opset: u32) -> Key {
    let key = identify(KeyMaker::new("engine"), target)
        .number("opset", u64::from(opset))
        .text("region", &remuda_ir::text::print_outline(region));
    let weights = region.values().filter_map(|(_, value)| value.constant());
    weights.fold(key, |key, weight| key.tensor("weight", weight)).finish()
}
