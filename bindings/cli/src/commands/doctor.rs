//! `remuda doctor`: what this machine has, and whether this installation works.

use remuda::Runtime;
use remuda::libraries::Looked;
use serde_json::{Value, json};

use super::providers::{Found, built_in, of_libraries};
use super::{bytes_text, print_table};
use crate::bundled;
use crate::failure::Failure;
use crate::libraries::{LibraryArgs, json_of};
use crate::machine::{Card, Machine};

/// Arguments of `remuda doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    libraries: LibraryArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks the machine and the installation.
pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let runtime = Runtime::builder().build()?;
    let machine = Machine::look();
    let looked = args.libraries.discover()?.looked;
    let mut devices = built_in(&runtime)?;
    devices.extend(of_libraries(&looked));
    let answer = self_test(&runtime);
    if args.json {
        outln!("{:#}", report(&runtime, &machine, &devices, &looked, &answer));
    } else {
        print(&runtime, &machine, &devices, &looked, &answer);
    }
    answer?;
    let problems: Vec<&Looked> = looked.iter().filter(|looked| looked.is_problem()).collect();
    match &problems[..] {
        [] => Ok(()),
        [one] => Err(Failure::Unwell(format!(
            "provider library `{}` cannot be used: {}",
            one.path.display(),
            one.verdict
        ))),
        more => Err(Failure::Unwell(format!("{} provider libraries cannot be used", more.len()))),
    }
}

fn report(
    runtime: &Runtime,
    machine: &Machine,
    devices: &[Found],
    looked: &[Looked],
    answer: &Result<(), Failure>,
) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        "cpu": machine.cpu,
        "device": devices.first().map(|device| device.name.clone()),
        "threads": runtime.threads(),
        "caches": machine.caches,
        "numa_nodes": machine.numa_nodes,
        "memory_bytes": machine.memory_bytes,
        "available_bytes": machine.available_bytes,
        "cards": machine.cards.iter().map(Card::json).collect::<Vec<_>>(),
        "devices": devices.iter().map(Found::json).collect::<Vec<_>>(),
        "libraries": looked.iter().map(json_of).collect::<Vec<_>>(),
        "self_test": answer.as_ref().err().map_or("passed".to_owned(), ToString::to_string),
    })
}

fn print(
    runtime: &Runtime,
    machine: &Machine,
    devices: &[Found],
    looked: &[Looked],
    answer: &Result<(), Failure>,
) {
    let amount = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), bytes_text);
    let device = devices.first().map_or(String::new(), |device| device.name.clone());
    let mut rows = vec![
        ("remuda", env!("CARGO_PKG_VERSION").to_owned()),
        ("cpu", machine.cpu.clone()),
        ("device", device),
        ("threads", format!("{} (affinity and quota of this process)", runtime.threads())),
        (
            "memory",
            format!(
                "{}, {} available",
                amount(machine.memory_bytes),
                amount(machine.available_bytes)
            ),
        ),
    ];
    if !machine.caches.is_empty() {
        rows.push(("caches", machine.caches.join(", ")));
    }
    if let Some(nodes) = machine.numa_nodes.filter(|&nodes| nodes > 1) {
        rows.push(("memory nodes", nodes.to_string()));
    }
    for card in &machine.cards {
        let driver = card.driver.as_deref().unwrap_or("no driver");
        rows.push(("card", format!("{} ({driver})", card.name)));
    }
    rows.push(("self-test", if answer.is_ok() { "passed" } else { "failed" }.to_owned()));
    let rows: Vec<_> = rows.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect();
    print_table(&rows);
    outln!("\ndevices");
    print_table(&devices.iter().map(Found::row).collect::<Vec<_>>());
    if !looked.is_empty() {
        outln!("\nprovider libraries");
    }
    for looked in looked {
        outln!("{looked}");
    }
}

/// The bundled model must read the bundled image.
fn self_test(runtime: &Runtime) -> Result<(), Failure> {
    let model = bundled::load(runtime, "digits".as_ref())?;
    let outputs = model.run([("image", bundled::seven()?)])?;
    let read = outputs
        .get("name")
        .and_then(|value| value.tensor().ok())
        .map(|tensor| tensor.texts().concat());
    if read.as_deref() == Some("seven") {
        return Ok(());
    }
    let got = read.unwrap_or_else(|| "nothing".to_owned());
    Err(Failure::Unwell(format!("the bundled model read `{got}`, expected `seven`")))
}
