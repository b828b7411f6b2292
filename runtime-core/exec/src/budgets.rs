//! From the names under `[budget]` to the devices that are limited.
//!
//! A name means what it means in a list of backends, with one exception: `cpu` is the CPU, not another
//! provider's device of that kind. A provider or a kind limits each of its devices. Of several names for a
//! device the one that is closest to it counts, and of equally close ones the smallest limit.

use remuda_base::{Map, nearest};

use crate::target::{Closeness, Target};

/// The bytes that may be used of each device, by its name; and a sentence for every name that no device has.
#[must_use]
pub fn budgets(named: &Map<String, u64>, devices: &[Target]) -> (Map<String, u64>, Vec<String>) {
    let of_device = |device: &Target| Some((device.name.to_string(), limit(named, device)?));
    let limits = devices.iter().filter_map(of_device).collect();
    let unknown =
        named.keys().filter(|name| !devices.iter().any(|it| closeness(it, name).is_some()));
    (limits, unknown.map(|name| no_device(name, devices)).collect())
}

fn limit(named: &Map<String, u64>, device: &Target) -> Option<u64> {
    let close = named.iter().filter_map(|(name, &bytes)| Some((closeness(device, name)?, bytes)));
    let closest = close.max_by_key(|&(closeness, bytes)| (closeness, std::cmp::Reverse(bytes)));
    closest.map(|(_, bytes)| bytes)
}

fn closeness(device: &Target, name: &str) -> Option<Closeness> {
    let closeness = device.closeness(name)?;
    let is_the_cpu = !name.eq_ignore_ascii_case("cpu") || closeness == Closeness::Device;
    is_the_cpu.then_some(closeness)
}

fn no_device(name: &str, devices: &[Target]) -> String {
    let known: Vec<&str> = devices.iter().map(|device| &*device.name).collect();
    let near = nearest(name, known.iter().copied());
    let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    format!("the budget of `{name}` limits nothing, the devices are: {}{hint}", known.join(", "))
}
