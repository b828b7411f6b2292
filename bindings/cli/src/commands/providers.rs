//! `remuda providers` and `remuda devices`: what can run models here.

use remuda::Runtime;
use serde_json::json;

use super::{bytes_text, print_table};
use crate::failure::Failure;

/// Arguments of `remuda providers`.
#[derive(Debug, clap::Args)]
pub(super) struct ProvidersArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `remuda devices`.
#[derive(Debug, clap::Args)]
pub(super) struct DevicesArgs {
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
    unusable: Option<String>,
}

/// The devices of a runtime.
pub(super) fn found(runtime: &Runtime) -> Result<Vec<Found>, Failure> {
    let devices = runtime.devices()?.into_iter().map(|(provider, device)| Found {
        provider,
        kind: device.kind,
        name: device.name,
        memory: device.total_bytes,
        unusable: device.unusable,
    });
    Ok(devices.collect())
}

/// Lists providers.
pub(super) fn providers(args: &ProvidersArgs) -> Result<(), Failure> {
    let devices = found(&Runtime::builder().build()?)?;
    let mut names: Vec<&str> = devices.iter().map(|found| found.provider.as_str()).collect();
    names.dedup();
    let state = |name: &str| {
        let mut own = devices.iter().filter(|found| found.provider == name);
        if own.any(|found| found.unusable.is_none()) { "usable" } else { "unusable" }
    };
    if args.json {
        let rows: Vec<_> =
            names.iter().map(|name| json!({ "name": name, "state": state(name) })).collect();
        println!("{:#}", json!(rows));
        return Ok(());
    }
    print_table(
        &names
            .iter()
            .map(|name| vec![(*name).to_owned(), state(name).to_owned()])
            .collect::<Vec<_>>(),
    );
    Ok(())
}

/// Lists devices.
pub(super) fn devices(args: &DevicesArgs) -> Result<(), Failure> {
    let devices = found(&Runtime::builder().build()?)?;
    if args.json {
        let rows: Vec<_> = devices
            .iter()
            .map(|found| {
                json!({
                    "provider": found.provider,
                    "kind": found.kind,
                    "name": found.name,
                    "memory_bytes": found.memory,
                    "unusable": found.unusable,
                })
            })
            .collect();
        println!("{:#}", json!(rows));
        return Ok(());
    }
    let row = |found: &Found| {
        let state = found.unusable.clone().unwrap_or_else(|| "usable".to_owned());
        vec![
            found.provider.clone(),
            found.kind.clone(),
            found.name.clone(),
            bytes_text(found.memory),
            state,
        ]
    };
    print_table(&devices.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
