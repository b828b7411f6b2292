//! `remuda doctor`: what this machine has, and whether this installation works.

use remuda::Runtime;
use serde_json::json;

use super::providers::found;
use super::{bytes_text, print_table};
use crate::bundled;
use crate::failure::Failure;

/// Arguments of `remuda doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks the machine and the installation.
pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let runtime = Runtime::builder().build()?;
    let devices = found(&runtime)?;
    let features = devices.first().map_or(String::new(), |device| device.name.clone());
    let cpu = proc_line("/proc/cpuinfo", "model name")
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let (total, free) = (memory("MemTotal"), memory("MemAvailable"));
    let answer = self_test(&runtime);
    if args.json {
        println!(
            "{:#}",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
                "cpu": cpu,
                "device": features,
                "threads": runtime.threads(),
                "memory_bytes": total,
                "available_bytes": free,
                "self_test": answer.as_ref().err().map_or("passed".to_owned(), ToString::to_string),
            })
        );
    } else {
        let amount = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), bytes_text);
        let rows = [
            ("remuda", env!("CARGO_PKG_VERSION").to_owned()),
            ("cpu", cpu),
            ("device", features),
            ("threads", format!("{} (affinity and quota of this process)", runtime.threads())),
            ("memory", format!("{}, {} available", amount(total), amount(free))),
            ("self-test", if answer.is_ok() { "passed" } else { "failed" }.to_owned()),
        ];
        print_table(&rows.map(|(name, text)| vec![name.to_owned(), text]));
    }
    answer
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

fn proc_line(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The machine's memory, within the limit of this process's control group.
fn memory(key: &str) -> Option<u64> {
    let kilobytes: u64 =
        proc_line("/proc/meminfo", key)?.split_whitespace().next()?.parse().ok()?;
    let bytes = kilobytes.checked_mul(1024)?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit: Option<u64> = limit.and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(bytes, |limit| bytes.min(limit)))
}
