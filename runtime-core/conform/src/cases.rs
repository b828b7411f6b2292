//! The cases, by name.
//!
//! A case is a function that tries one thing and says how it went; the tables below have them all, but
//! for those of operators, which come from the operators' own files. To add a case: one function, one
//! line.

mod abi;
mod failures;
mod leaks;
mod memory;
mod ops;
mod places;
mod query;
mod raw;
mod runs;
mod states;
mod streams;

use remuda_ir::OpDef;

use crate::bench::{Bench, Verdict};

/// A case.
pub(crate) struct Case {
    /// `abi/null-pointers`.
    pub(crate) name: String,
    /// Whether it gets a worker of its own: it may do damage, or must not see that of others.
    pub(crate) alone: bool,
    check: Check,
}

/// A case about the provider.
type OfProvider = fn(&Bench) -> Verdict;
/// A case about a device.
type OfDevice = fn(&Bench, u32) -> Verdict;

/// What a case does.
#[derive(Clone, Copy)]
enum Check {
    /// It tries the provider.
    Provider(OfProvider),
    /// It tries a device.
    Device(OfDevice),
    /// It runs a line of an operator's cases.
    Operator(&'static OpDef, usize),
}

/// Cases about the provider. Each has a worker of its own.
const OF_PROVIDER: &[(&str, OfProvider)] = &[
    ("abi/entry", abi::entry),
    ("abi/texts", abi::texts),
    ("abi/function-groups", abi::function_groups),
    ("abi/unknown-option", abi::unknown_option),
    ("abi/null-instance", abi::null_instance),
    ("abi/several-instances", abi::several_instances),
    ("query/devices", query::devices),
    ("leaks/instances", leaks::instances),
];

/// Cases about a device that get a worker of their own.
const OF_DEVICE_ALONE: &[(&str, OfDevice)] = &[
    ("abi/larger-structs", abi::larger_structs),
    ("abi/null-pointers", abi::null_pointers),
    ("abi/unknown-numbers", abi::unknown_numbers),
    ("abi/wrong-count", abi::wrong_count),
    ("abi/references", abi::references),
    ("abi/outputs-outlive-programs", abi::outputs_outlive),
    ("memory/out-of-range", memory::out_of_range),
    ("memory/import", memory::import),
    ("states/stopped-export", states::stopped_export),
    ("places/inputs", places::inputs),
    ("places/outputs", places::outputs),
    ("places/too-small", places::too_small),
    ("streams/order", streams::order),
    ("streams/events", streams::events),
    ("streams/runs", streams::runs),
    ("streams/null-handles", streams::null_handles),
    ("failures/damaged-engine", failures::damaged_engine),
    ("leaks/programs", leaks::programs),
    ("leaks/runs", leaks::runs),
    ("leaks/memory", leaks::memory),
];

/// Cases about a device that share a worker.
const OF_DEVICE: &[(&str, OfDevice)] = &[
    ("query/made-up-operator", query::made_up_operator),
    ("query/every-node", query::every_node),
    ("query/repeated", query::repeated),
    ("query/costs", query::costs),
    ("runs/chain", runs::chain),
    ("runs/values-used-twice", runs::values_used_twice),
    ("runs/constants", runs::constants),
    ("runs/profile", runs::profile),
    ("runs/program-info", runs::program_info),
    ("threads/one-program", runs::threads_on_one_program),
    ("threads/many-programs", runs::threads_with_programs),
    ("cancel/before", runs::cancelled_before),
    ("cancel/during", runs::cancelled_during),
    ("cancel/compile", runs::cancelled_compile),
    ("memory/info", memory::info),
    ("memory/round-trip", memory::round_trip),
    ("memory/copy", memory::copy),
    ("states/round-trip", states::round_trip),
    ("states/copy-and-truncate", states::copy_and_truncate),
    ("states/apart", states::apart),
    ("states/refusals", states::refusals),
    ("states/size", states::size),
    ("states/attention", states::attention),
    ("failures/wrong-shape", failures::wrong_shape),
    ("failures/wrong-type", failures::wrong_type),
    ("failures/small-place", failures::small_place),
    ("failures/too-much-memory", failures::too_much_memory),
];

/// The case of a name.
pub(crate) fn find(name: &str) -> Option<Case> {
    let provider = OF_PROVIDER.iter().map(|&(name, check)| (name, true, Check::Provider(check)));
    let alone = OF_DEVICE_ALONE.iter().map(|&(name, check)| (name, true, Check::Device(check)));
    let shared = OF_DEVICE.iter().map(|&(name, check)| (name, false, Check::Device(check)));
    let mut fixed = provider.chain(alone).chain(shared);
    if let Some((name, alone, check)) = fixed.find(|(known, ..)| *known == name) {
        return Some(Case { name: name.to_owned(), alone, check });
    }
    let (def, line) = ops::named(name)?;
    Some(Case { name: name.to_owned(), alone: false, check: Check::Operator(def, line) })
}

/// Every case with the devices that it is for, in the order in which they run.
pub(crate) fn all(devices: &[u32]) -> Vec<(Case, Option<u32>)> {
    let mut list: Vec<(String, Option<u32>)> =
        OF_PROVIDER.iter().map(|(name, _)| ((*name).to_owned(), None)).collect();
    let operators = ops::names();
    for &device in devices {
        let fixed = OF_DEVICE_ALONE.iter().chain(OF_DEVICE).map(|(name, _)| (*name).to_owned());
        list.extend(fixed.chain(operators.iter().cloned()).map(|name| (name, Some(device))));
    }
    list.into_iter().filter_map(|(name, device)| Some((find(&name)?, device))).collect()
}

impl Case {
    pub(crate) fn run(&self, bench: &Bench, device: Option<u32>) -> Verdict {
        match (self.check, device) {
            (Check::Provider(check), _) => check(bench),
            (Check::Device(check), Some(device)) => check(bench, device),
            (Check::Operator(def, line), Some(device)) => ops::check(bench, device, def, line),
            (_, None) => Err("this case is about a device".to_owned()),
        }
    }
}
