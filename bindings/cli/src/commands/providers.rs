//! `remuda providers` and `remuda devices`: what can run models here.

use remuda::Runtime;
use remuda::libraries::{DeviceReport, KernelTrial, Looked};
use serde_json::{Value, json};

use super::{bytes_text, print_table};
use crate::failure::Failure;
use crate::libraries::{LibraryArgs, file_name, json_of};

/// Arguments of `remuda providers`.
#[derive(Debug, clap::Args)]
pub(super) struct ProvidersArgs {
    #[command(flatten)]
    libraries: LibraryArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `remuda devices`.
#[derive(Debug, clap::Args)]
pub(super) struct DevicesArgs {
    #[command(flatten)]
    libraries: LibraryArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A device of a provider, as it is told here.
pub(super) struct Found {
    provider: String,
    kind: String,
    /// Its name, for people.
    pub(super) name: String,
    memory: u64,
    /// Why it cannot be used.
    pub(super) unusable: Option<String>,
    /// What is known of a small kernel on it.
    trial: Option<String>,
}

impl Found {
    pub(super) fn json(&self) -> Value {
        json!({
            "provider": self.provider,
            "kind": self.kind,
            "name": self.name,
            "memory_bytes": self.memory,
            "unusable": self.unusable,
            "trial": self.trial,
        })
    }

    pub(super) fn row(&self) -> Vec<String> {
        let memory = if self.memory == 0 { "-".to_owned() } else { bytes_text(self.memory) };
        let usable = self.trial.clone().unwrap_or_else(|| "usable".to_owned());
        let state = self.unusable.clone().unwrap_or(usable);
        vec![self.provider.clone(), self.kind.clone(), self.name.clone(), memory, state]
    }
}

/// The devices of the providers that are built in.
pub(super) fn built_in(runtime: &Runtime) -> Result<Vec<Found>, Failure> {
    let devices = runtime.devices()?.into_iter().map(|(provider, device)| Found {
        provider,
        kind: device.kind,
        name: device.name,
        memory: device.total_bytes,
        unusable: device.unusable,
        trial: None,
    });
    Ok(devices.collect())
}

/// The devices of the libraries that were looked at.
pub(super) fn of_libraries(looked: &[Looked]) -> Vec<Found> {
    let found = |provider: &str, device: &DeviceReport| Found {
        provider: provider.to_owned(),
        kind: device.kind.clone(),
        name: device.name.clone(),
        memory: device.total_bytes,
        unusable: device.unusable.clone(),
        trial: device.trial.as_ref().map(|trial| match trial {
            KernelTrial::Ran(operator) => format!("usable ({operator} ran)"),
            KernelTrial::NoneTaken => {
                "opened (it takes none of the operators that are tried)".to_owned()
            }
            KernelTrial::NoResults => "opened (its results mean nothing)".to_owned(),
            KernelTrial::Failed(reason) => reason.clone(),
        }),
    };
    let reports = looked.iter().filter_map(|looked| looked.report.as_ref());
    reports
        .flat_map(|report| report.devices.iter().map(|device| found(&report.name, device)))
        .collect()
}

/// Lists providers.
pub(super) fn providers(args: &ProvidersArgs) -> Result<(), Failure> {
    let devices = built_in(&Runtime::builder().build()?)?;
    let libraries = args.libraries.discover()?.looked;
    let mut names: Vec<&str> = devices.iter().map(|found| found.provider.as_str()).collect();
    names.dedup();
    let state = |name: &str| {
        let mut own = devices.iter().filter(|found| found.provider == name);
        if own.any(|found| found.unusable.is_none()) { "usable" } else { "unusable" }
    };
    if args.json {
        let own =
            names.iter().map(|name| json!({ "name": name, "state": state(name), "path": null }));
        let rows: Vec<Value> = own.chain(libraries.iter().map(json_row)).collect();
        outln!("{:#}", json!(rows));
        return Ok(());
    }
    let own = names.iter().map(|name| {
        vec![(*name).to_owned(), String::new(), "built in".to_owned(), state(name).to_owned()]
    });
    print_table(&own.chain(libraries.iter().map(row)).collect::<Vec<_>>());
    let worth_telling = |looked: &&Looked| !looked.verdict.is_ready() || !looked.notes.is_empty();
    for looked in libraries.iter().filter(worth_telling) {
        outln!("\n{looked}");
    }
    Ok(())
}

/// A library among providers, in a table.
fn row(looked: &Looked) -> Vec<String> {
    let (name, version) = looked
        .manifest
        .as_ref()
        .map_or(("-", ""), |manifest| (manifest.name.as_str(), manifest.version.as_str()));
    let state = if looked.verdict.is_ready() { "usable" } else { "not used" };
    vec![name.to_owned(), version.to_owned(), file_name(&looked.path), state.to_owned()]
}

/// A library among providers, in JSON.
fn json_row(looked: &Looked) -> Value {
    let name = looked.manifest.as_ref().map(|manifest| manifest.name.clone());
    let state = if looked.verdict.is_ready() { "usable" } else { "unusable" };
    let mut row = json!({ "name": name, "state": state });
    if let (Some(row), Value::Object(rest)) = (row.as_object_mut(), json_of(looked)) {
        row.extend(rest);
    }
    row
}

/// Lists devices.
pub(super) fn devices(args: &DevicesArgs) -> Result<(), Failure> {
    let mut devices = built_in(&Runtime::builder().build()?)?;
    devices.extend(of_libraries(&args.libraries.discover()?.looked));
    if args.json {
        outln!("{:#}", json!(devices.iter().map(Found::json).collect::<Vec<_>>()));
        return Ok(());
    }
    print_table(&devices.iter().map(Found::row).collect::<Vec<_>>());
    Ok(())
}
