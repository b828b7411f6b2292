//! Which devices a budget limits.

use std::collections::BTreeMap;

use remuda_exec::{Target, budgets};

use crate::common::{cpu, fake};

/// The CPU, two GPUs, and another provider's device that calls itself a CPU.
fn devices() -> Vec<Target> {
    let fake = fake(&[("devices", "gpu,cpu,gpu")]);
    let others = Target::all_of(&fake).expect("a sound test");
    std::iter::once(cpu()).chain(others).collect()
}

/// The limits of the devices in their order, 0 for none, and what is told.
fn limits(named: &[(&str, u64)]) -> ([u64; 4], Vec<String>) {
    let named: BTreeMap<String, u64> =
        named.iter().map(|&(name, bytes)| (name.to_owned(), bytes)).collect();
    let devices = devices();
    let names: Vec<&str> = devices.iter().map(|device| &*device.name).collect();
    assert_eq!(names, ["cpu", "fake:gpu", "fake:cpu", "fake:gpu:1"]);
    let (limits, told) = budgets(&named, &devices);
    let limit = |at: usize| limits.get(names[at]).copied().unwrap_or(0);
    ([0, 1, 2, 3].map(limit), told)
}

#[test]
fn a_provider_or_a_kind_limits_each_of_its_devices() {
    for (name, want) in [
        ("fake", [0, 7, 7, 7]),
        ("gpu", [0, 7, 0, 7]),
        ("fake:gpu", [0, 7, 0, 7]),
        ("Fake:GPU:1", [0, 0, 0, 7]),
        ("fake:gpu:0", [0, 7, 0, 0]),
    ] {
        assert_eq!(limits(&[(name, 7)]), (want, Vec::new()), "{name}");
    }
}

#[test]
fn cpu_is_the_cpu_alone() {
    assert_eq!(limits(&[("cpu", 7)]), ([7, 0, 0, 0], Vec::new()));
    assert_eq!(limits(&[("fake:cpu", 7)]), ([0, 0, 7, 0], Vec::new()));
}

#[test]
fn the_closest_name_counts() {
    let named = [("fake", 1), ("fake:gpu", 20), ("fake:gpu:1", 300)];
    assert_eq!(limits(&named), ([0, 20, 1, 300], Vec::new()));
    assert_eq!(limits(&[("fake", 9), ("gpu", 5)]), ([0, 5, 9, 5], Vec::new()));
}

#[test]
fn a_name_that_no_device_has_is_told_of() {
    let (limits, told) = limits(&[("fake:gpu:2", 7), ("cuda", 7), ("vulkan", 7), ("cpu", 1)]);
    assert_eq!(limits, [1, 0, 0, 0]);
    let devices = "limits nothing, the devices are: cpu, fake:gpu, fake:cpu, fake:gpu:1";
    let near = ", did you mean `fake:gpu:1`?";
    assert_eq!(
        told,
        [
            format!("the budget of `cuda` {devices}"),
            format!("the budget of `fake:gpu:2` {devices}{near}"),
            format!("the budget of `vulkan` {devices}"),
        ]
    );
}
