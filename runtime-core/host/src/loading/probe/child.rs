//! The child: loads one library and uses it a little.

use super::kernels::{LIE, OPERATORS, Trial};
use super::{DeviceReport, ENDING, KernelTrial, Line, Report, Request};
use crate::loading::library::{Library, LoadError, preload};
use crate::process::{Job, Teller};
use crate::{Answer, Device, Provider};

/// A trial needs no more.
const THREADS: usize = 1;

/// Tries the library of a job, and tells of it. Says whether this was such a job.
pub(crate) fn try_one(job: &Job) -> bool {
    let Some(request) = job.body::<Request>() else { return false };
    let teller = job.teller();
    let last = match try_library(&request, &teller) {
        Ok(report) => Line::Done(report),
        Err(line) => line,
    };
    teller.tell(&last);
    stage(&teller, ENDING);
    true
}

fn stage(teller: &Teller, stage: &str) {
    teller.tell(&Line::Stage(stage.to_owned()));
}

fn refused(failure: impl std::fmt::Display) -> Line {
    Line::Refused(failure.to_string())
}

fn try_library(request: &Request, teller: &Teller) -> Result<Report, Line> {
    stage(teller, "loading it");
    request.preload.iter().for_each(|library| preload(library));
    let library = Library::open(&request.library);
    let table = library.and_then(|library| library.table()).map_err(|error| match error {
        LoadError::Loader(reason) => Line::NotLoaded(reason),
        other => refused(other),
    })?;
    stage(teller, "reading its name");
    let (name, version) = (table.name(), table.version());
    stage(teller, "asking how well it fits");
    let score = table.score();
    let mut report = Report { name, version, score, devices: Vec::new() };
    if score == 0 {
        return Ok(report);
    }
    stage(teller, "opening it");
    let options: Vec<(&str, &str)> =
        request.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let provider = Provider::open(table, THREADS, &options).map_err(refused)?;
    stage(teller, "asking for its devices");
    let devices = provider.devices().map_err(refused)?;
    if devices.is_empty() {
        return Err(Line::Lies("it tells of no device, and of no reason why".to_owned()));
    }
    for device in devices {
        report.devices.push(try_device(&provider, device, teller)?);
    }
    stage(teller, "closing it");
    drop(provider);
    Ok(report)
}

fn try_device(provider: &Provider, device: Device, teller: &Teller) -> Result<DeviceReport, Line> {
    let computes = !device.no_results;
    let mut report = DeviceReport {
        index: device.index,
        kind: device.kind,
        name: device.name,
        unique_id: device.unique_id,
        driver: device.driver,
        total_bytes: device.total_bytes,
        free_bytes: None,
        unusable: device.unusable,
        trial: None,
    };
    if report.unusable.is_some() {
        return Ok(report);
    }
    stage(teller, &format!("asking device {} for its free memory", report.index));
    report.free_bytes = provider.memory(report.index).ok().map(|memory| memory.free_bytes);
    let trial = if computes {
        try_kernels(provider, report.index, teller)?
    } else {
        KernelTrial::NoResults
    };
    if let KernelTrial::Failed(reason) = &trial {
        report.unusable = Some(reason.clone());
    }
    report.trial = Some(trial);
    Ok(report)
}

/// Runs the first small kernel that the device says it takes.
fn try_kernels(provider: &Provider, device: u32, teller: &Teller) -> Result<KernelTrial, Line> {
    stage(teller, &format!("asking what device {device} can run"));
    let mut taken = None;
    for operator in OPERATORS {
        let answers = Trial::new(operator.name).ask(provider, device).map_err(refused)?;
        if matches!(answers, Answer::Yes(_) | Answer::If { .. }) {
            taken = Some(operator);
            break;
        }
    }
    if let Answer::Yes(_) = Trial::new(LIE).ask(provider, device).map_err(refused)? {
        return Err(Line::Lies(format!(
            "device {device} says that it can run `{LIE}`, an operator that does not exist"
        )));
    }
    let Some(operator) = taken else { return Ok(KernelTrial::NoneTaken) };
    let name = operator.name;
    stage(teller, &format!("compiling `{name}` for device {device}"));
    let program = match Trial::new(name).compile(provider, device) {
        Ok(program) => program,
        Err(failure) => {
            return Ok(KernelTrial::Failed(format!(
                "it says that it can run `{name}` and does not compile it: {failure}"
            )));
        }
    };
    stage(teller, &format!("running `{name}` on device {device}"));
    let outcome = Trial::run(provider, device, &program, operator);
    drop(program);
    Ok(outcome.map_or_else(KernelTrial::Failed, |()| KernelTrial::Ran(name.to_owned())))
}
