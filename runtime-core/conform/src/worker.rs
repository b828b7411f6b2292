//! The worker: loads the provider and runs the cases that it is told, one after the other.

use remuda_host::process::{Job, Teller};
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::cases;
use crate::{BuiltIn, Outcome, Subject};

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) subject: Subject,
    pub(crate) options: Vec<(String, String)>,
    /// The cases by name, with the device for those that are about one; none: tell the devices.
    pub(crate) cases: Vec<(String, Option<u32>)>,
}

/// What a worker tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The provider's name and version, and its usable devices by index and name.
    Provider { name: String, version: String, devices: Vec<(u32, String)> },
    /// There is nothing to try.
    Stopped(String),
    /// It begins with a case, by its place in the list.
    Start(usize),
    /// It is done with it.
    End(usize, Outcome),
}

/// Does one job of the kit: what a worker process does. `linked` are the providers that the program has
/// built in. Says whether this was such a job.
#[must_use]
pub fn serve(job: &Job, linked: &[BuiltIn]) -> bool {
    let Some(order) = job.body::<Order>() else { return false };
    let teller = job.teller();
    let bench = match Bench::new(&order.subject, linked, order.options) {
        Ok(bench) => bench,
        Err(reason) => {
            teller.tell(&Line::Stopped(reason));
            return true;
        }
    };
    if order.cases.is_empty() {
        teller.tell(&introduce(&bench).unwrap_or_else(Line::Stopped));
    } else {
        work(&bench, &order.cases, &teller);
    }
    true
}

fn introduce(bench: &Bench) -> Result<Line, String> {
    let provider = bench.open()?;
    let devices = provider.devices().map_err(|failure| failure.to_string())?;
    let usable = devices.into_iter().filter(|device| device.unusable.is_none());
    let devices = usable.map(|device| (device.index, format!("{}:{}", device.kind, device.index)));
    Ok(Line::Provider {
        name: provider.name(),
        version: provider.version(),
        devices: devices.collect(),
    })
}

fn work(bench: &Bench, wanted: &[(String, Option<u32>)], teller: &Teller) {
    for (at, (name, device)) in wanted.iter().enumerate() {
        teller.tell(&Line::Start(at));
        let verdict = match cases::find(name) {
            Some(case) => case.run(bench, *device),
            None => Err("there is no such case".to_owned()),
        };
        if verdict.is_err() {
            bench.renew();
        }
        teller.tell(&Line::End(at, verdict.unwrap_or_else(Outcome::Failed)));
    }
    bench.renew();
}
