//! The child: loads one library and uses it a little.

use std::io::{Read, Write};
use std::process::ExitCode;

use super::kernels::{LIE, OPERATORS, Trial};
use super::{DeviceReport, ENDING, KernelTrial, Line, Report, Request};
use crate::loading::library::{self, LoadError};
use crate::{Answer, Device, Provider};

/// A request is small.
const MAX_REQUEST_BYTES: u64 = 1 << 20;
/// A trial needs no more.
const THREADS: usize = 1;

/// Serves one probe: reads the request from standard input, answers on standard output. To be called by
/// the program that [`super::Prober`] names, before it does anything else.
#[must_use]
pub fn serve() -> ExitCode {
    die_with_parent();
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_REQUEST_BYTES).read_to_string(&mut text);
    let request = read.ok().and_then(|_| serde_json::from_str::<Request>(&text).ok());
    let Some(request) = request else { return ExitCode::from(2) };
    let teller = Teller(request.token.clone());
    let last = match try_library(&request, &teller) {
        Ok(report) => Line::Done(report),
        Err(line) => line,
    };
    teller.tell(&last);
    teller.stage(ENDING);
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn die_with_parent() {
    use rustix::process::{Signal, set_parent_process_death_signal};

    // Without it the child ends at its parent's deadline.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}

struct Teller(String);

impl Teller {
    fn tell(&self, line: &Line) {
        let Ok(json) = serde_json::to_string(line) else { return };
        let mut out = std::io::stdout().lock();
        // Whoever asked may be gone: there is nobody else to tell. The first line break ends what a
        // library may have printed.
        let _ = out.write_all(format!("\n{} {json}\n", self.0).as_bytes());
        let _ = out.flush();
    }

    fn stage(&self, stage: &str) {
        self.tell(&Line::Stage(stage.to_owned()));
    }
}

fn refused(failure: impl std::fmt::Display) -> Line {
    Line::Refused(failure.to_string())
}

fn try_library(request: &Request, teller: &Teller) -> Result<Report, Line> {
    teller.stage("loading it");
    let table = library::load(&request.library).map_err(|error| match error {
        LoadError::Loader(reason) => Line::NotLoaded(reason),
        other => refused(other),
    })?;
    teller.stage("reading its name");
    let (name, version) = (table.name(), table.version());
    teller.stage("asking how well it fits");
    let score = table.score();
    let mut report = Report { name, version, score, devices: Vec::new() };
    if score == 0 {
        return Ok(report);
    }
    teller.stage("opening it");
    let options: Vec<(&str, &str)> =
        request.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let provider = Provider::open(table, THREADS, &options).map_err(refused)?;
    teller.stage("asking for its devices");
    let devices = provider.devices().map_err(refused)?;
    if devices.is_empty() {
        return Err(Line::Lies("it tells of no device, and of no reason why".to_owned()));
    }
    for device in devices {
        report.devices.push(try_device(&provider, device, teller)?);
    }
    teller.stage("closing it");
    drop(provider);
    Ok(report)
}

fn try_device(provider: &Provider, device: Device, teller: &Teller) -> Result<DeviceReport, Line> {
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
    teller.stage(&format!("asking device {} for its free memory", report.index));
    report.free_bytes = provider.memory(report.index).ok().map(|memory| memory.free_bytes);
    let trial = try_kernels(provider, report.index, teller)?;
    if let KernelTrial::Failed(reason) = &trial {
        report.unusable = Some(reason.clone());
    }
    report.trial = Some(trial);
    Ok(report)
}

/// Runs the first small kernel that the device says it takes.
fn try_kernels(provider: &Provider, device: u32, teller: &Teller) -> Result<KernelTrial, Line> {
    teller.stage(&format!("asking what device {device} can run"));
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
    teller.stage(&format!("compiling `{name}` for device {device}"));
    let program = match Trial::new(name).compile(provider, device) {
        Ok(program) => program,
        Err(failure) => {
            return Ok(KernelTrial::Failed(format!(
                "it says that it can run `{name}` and does not compile it: {failure}"
            )));
        }
    };
    teller.stage(&format!("running `{name}` on device {device}"));
    let outcome = Trial::run(provider, device, &program, operator);
    drop(program);
    Ok(outcome.map_or_else(KernelTrial::Failed, |()| KernelTrial::Ran(name.to_owned())))
}
