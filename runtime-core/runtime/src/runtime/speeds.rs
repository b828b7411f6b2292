//! How fast devices are: measured once, and kept in the cache.

use std::sync::{Mutex, PoisonError};

use remuda_base::Map;
use remuda_cache::{Cache, KeyMaker, Kind};
use remuda_exec::{Speeds, Target, identify};
use remuda_ops::NEWEST_OPSET;

/// What is known of devices so far, by name; `None` is one that could not be measured.
#[derive(Debug, Default)]
pub(crate) struct Measured(Mutex<Map<String, Option<Speeds>>>);

impl Measured {
    /// The speeds of some devices, from the cache or measured now.
    pub(crate) fn of(
        &self,
        targets: &[Target],
        threads: usize,
        cache: Option<&Cache>,
    ) -> Map<String, Speeds> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let speeds = targets.iter().filter_map(|target| {
            let measure = || stored_or_measured(target, threads, cache);
            let speeds = *known.entry(target.name.to_string()).or_insert_with(measure);
            Some((target.name.to_string(), speeds?))
        });
        speeds.collect()
    }
}

fn stored_or_measured(target: &Target, threads: usize, cache: Option<&Cache>) -> Option<Speeds> {
    let key = KeyMaker::new("speeds")
        .text("remuda", env!("CARGO_PKG_VERSION"))
        .number("threads", threads as u64);
    let key = identify(key, target).finish();
    let stored = cache.and_then(|cache| cache.get(Kind::Speeds, &key));
    let stored = stored.and_then(|text| Speeds::from_text(std::str::from_utf8(&text).ok()?));
    stored.or_else(|| {
        // A device that cannot be measured is planned for with what its provider says.
        let speeds = Speeds::measure(target, NEWEST_OPSET).ok()?;
        if let Some(cache) = cache {
            // Without a cache it is measured again next time.
            let _ = cache.put(Kind::Speeds, &key, speeds.to_text().as_bytes());
        }
        Some(speeds)
    })
}
