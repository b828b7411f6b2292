//! The kit: which cases run in which worker, and what came of them.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use remuda_host::loading::{Config, Entry, Registry, Verdict};
use remuda_host::process::{Heard, Prober, Worker, how_it_ended};

use crate::Subject;
use crate::report::{CaseReport, Outcome, Report};
use crate::skips::{Skips, matches};
use crate::worker::{Line, Order};
use crate::{JOB, cases};

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// There is no worker.
    #[error("a worker process cannot be started: {0}")]
    Worker(String),
    /// No case has such a name.
    #[error("no case is called `{0}`")]
    NoCase(String),
    /// `conformance.toml` is about another provider.
    #[error("the skips are about provider `{expected}`, this is `{got}`")]
    OtherProvider {
        /// Whom the file is about.
        expected: String,
        /// Who is tried.
        got: String,
    },
    /// A skip that is of no use hides what it once was for.
    #[error("no case is called `{0}`, which the skips name")]
    IdleSkip(String),
}

/// Tries a provider.
#[derive(Clone, Debug)]
pub struct Kit {
    /// What is tried.
    pub subject: Subject,
    /// What it is opened with.
    pub options: Vec<(String, String)>,
    /// How workers are started.
    pub prober: Prober,
    /// Only cases of these names, in which `*` stands for anything; all if there are none.
    pub only: Vec<String>,
    /// What is skipped.
    pub skips: Option<Skips>,
    /// How long one case may take.
    pub deadline: Duration,
}

/// A case that is to run.
struct Planned {
    name: String,
    alone: bool,
    device: Option<(u32, String)>,
}

impl Planned {
    fn report(&self, outcome: Outcome) -> CaseReport {
        let device = self.device.as_ref().map(|(_, name)| name.clone());
        CaseReport { name: self.name.clone(), device, outcome }
    }
}

impl Kit {
    /// Runs every case. `tell` hears of each as it ends.
    ///
    /// # Errors
    /// When no worker can be started, or what is asked for makes no sense.
    pub fn run(&self, tell: &mut dyn FnMut(&CaseReport)) -> Result<Report, KitError> {
        let mut report = Report {
            provider: String::new(),
            version: String::new(),
            devices: Vec::new(),
            cases: Vec::new(),
        };
        let mut note = |report: &mut Report, case: CaseReport| {
            tell(&case);
            report.cases.push(case);
        };
        let about_file =
            |name: &str, outcome| CaseReport { name: name.into(), device: None, outcome };
        if let Subject::Library(_) = &self.subject
            && let Some((stop, outcome)) = self.examine(&mut report)
        {
            note(&mut report, about_file("library/accepted", outcome));
            if stop {
                return Ok(report);
            }
        }
        let devices = match self.introduce(&mut report)? {
            Ok(devices) => devices,
            Err(reason) => {
                note(&mut report, about_file("library/opens", Outcome::Failed(reason)));
                return Ok(report);
            }
        };
        let plan = self.plan(&report.provider, &devices)?;
        let mut at = 0;
        while at < plan.len() {
            if let Some(reason) = self.skipped(&plan[at].name) {
                note(&mut report, plan[at].report(Outcome::Skipped(reason)));
                at += 1;
                continue;
            }
            self.work(self.batch(&plan[at..]), &mut |outcome| {
                note(&mut report, plan[at].report(outcome));
                at += 1;
            })?;
        }
        Ok(report)
    }

    /// What the host says of the library, and whether nothing more can be tried.
    fn examine(&self, report: &mut Report) -> Option<(bool, Outcome)> {
        let Subject::Library(path) = &self.subject else { return None };
        let entry = Entry {
            library: Some(path.clone()),
            options: self.options.clone(),
            ..Entry::default()
        };
        let config = Config {
            providers: vec![entry],
            prober: Some(self.prober.clone()),
            probe_deadline: self.deadline,
            ..Config::default()
        };
        let looked = Registry::examine(path, &config);
        if let Some(manifest) = &looked.manifest {
            report.provider.clone_from(&manifest.name);
            report.version.clone_from(&manifest.version);
        }
        let message = looked.verdict.to_string();
        Some(match looked.verdict {
            Verdict::Ready => (false, Outcome::Passed),
            // The host has used it: cases can tell more.
            Verdict::Lies { .. } | Verdict::NoDevice { .. } | Verdict::Crashed { .. } => {
                (false, Outcome::Failed(message))
            }
            _ => (true, Outcome::Failed(message)),
        })
    }

    /// Asks for the provider's name and devices; or why there is nothing to try.
    fn introduce(
        &self,
        report: &mut Report,
    ) -> Result<Result<Vec<(u32, String)>, String>, KitError> {
        let mut worker = self.start(Vec::new())?;
        match worker.hear(Instant::now() + self.deadline) {
            Heard::Line(Line::Provider { name, version, devices }) => {
                report.devices = devices.iter().map(|(_, name)| name.clone()).collect();
                (report.provider, report.version) = (name, version);
                if devices.is_empty() {
                    return Ok(Err("it has no device that can be used".to_owned()));
                }
                Ok(Ok(devices))
            }
            Heard::Line(Line::Stopped(reason)) => Ok(Err(reason)),
            Heard::Line(_) => Err(KitError::Worker("it does not do this job".to_owned())),
            Heard::Ended(status) if status.code() == Some(2) => {
                Err(KitError::Worker("it does not know this job".to_owned()))
            }
            Heard::Ended(status) => Ok(Err(crashed(&worker, status))),
            Heard::Late => Ok(Err(self.late())),
        }
    }

    fn plan(&self, provider: &str, devices: &[(u32, String)]) -> Result<Vec<Planned>, KitError> {
        let indices: Vec<u32> = devices.iter().map(|(index, _)| *index).collect();
        let name_of = |index: u32| devices.iter().find(|(known, _)| *known == index).cloned();
        let all = cases::all(&indices);
        let unknown = |pattern: &&String| !all.iter().any(|(case, _)| matches(pattern, &case.name));
        if let Some(pattern) = self.only.iter().find(unknown) {
            return Err(KitError::NoCase(pattern.clone()));
        }
        if let Some(skips) = &self.skips {
            if skips.provider != provider {
                let (expected, got) = (skips.provider.clone(), provider.to_owned());
                return Err(KitError::OtherProvider { expected, got });
            }
            let mut named = skips.skips.iter().map(|skip| &skip.case);
            if let Some(idle) = named.find(unknown) {
                return Err(KitError::IdleSkip(idle.clone()));
            }
        }
        let wanted = |name: &str| {
            self.only.is_empty() || self.only.iter().any(|pattern| matches(pattern, name))
        };
        let plan = all.into_iter().filter(|(case, _)| wanted(&case.name)).map(|(case, device)| {
            Planned { name: case.name, alone: case.alone, device: device.and_then(name_of) }
        });
        Ok(plan.collect())
    }

    fn skipped(&self, name: &str) -> Option<String> {
        Some(self.skips.as_ref()?.reason(name)?.to_owned())
    }

    /// The cases that the next worker gets: one that must be alone, or as many as follow that need not.
    fn batch<'p>(&self, plan: &'p [Planned]) -> &'p [Planned] {
        let shares = |case: &&Planned| !case.alone && self.skipped(&case.name).is_none();
        let count = plan.iter().take_while(shares).count();
        &plan[..count.max(1)]
    }

    fn start(&self, cases: Vec<(String, Option<u32>)>) -> Result<Worker, KitError> {
        let (subject, options) = (self.subject.clone(), self.options.clone());
        let order = Order { subject, options, cases };
        Worker::start(&self.prober, JOB, &order)
            .map_err(|error| KitError::Worker(error.to_string()))
    }

    /// Runs cases in one worker; `tell` hears the outcomes of the first of them, as far as the worker
    /// lived.
    fn work(&self, batch: &[Planned], tell: &mut dyn FnMut(Outcome)) -> Result<(), KitError> {
        let number = |case: &Planned| case.device.as_ref().map(|(index, _)| *index);
        let mut worker =
            self.start(batch.iter().map(|case| (case.name.clone(), number(case))).collect())?;
        for (at, case) in batch.iter().enumerate() {
            let outcome = loop {
                match worker.hear(Instant::now() + self.deadline) {
                    Heard::Line(Line::End(done, outcome)) if done == at => break outcome,
                    Heard::Line(Line::Stopped(reason)) => break Outcome::Failed(reason),
                    Heard::Line(_) => {}
                    Heard::Ended(status) => {
                        tell(Outcome::Failed(self.blame(case, at, &worker, status)?));
                        return Ok(());
                    }
                    Heard::Late => {
                        tell(Outcome::Failed(self.late()));
                        return Ok(());
                    }
                }
            };
            let is_last = at + 1 == batch.len();
            tell(if is_last { self.ending(&mut worker, outcome) } else { outcome });
        }
        Ok(())
    }

    /// The outcome of a worker's last case: the worker must also end.
    fn ending(&self, worker: &mut Worker, outcome: Outcome) -> Outcome {
        if outcome != Outcome::Passed {
            return outcome;
        }
        let wrong = loop {
            match worker.hear::<Line>(Instant::now() + self.deadline) {
                Heard::Line(_) => {}
                Heard::Ended(status) if status.success() => return outcome,
                Heard::Ended(status) => break crashed(worker, status),
                Heard::Late => break self.late(),
            }
        };
        Outcome::Failed(format!("after it, while the process ended: {wrong}"))
    }

    /// What to say of a case in which a worker crashed that had run others before.
    fn blame(
        &self,
        case: &Planned,
        before: usize,
        worker: &Worker,
        status: ExitStatus,
    ) -> Result<String, KitError> {
        let crash = crashed(worker, status);
        if before == 0 {
            return Ok(crash);
        }
        let mut alone = None;
        self.work(std::slice::from_ref(case), &mut |outcome| alone = Some(outcome))?;
        Ok(match alone {
            Some(Outcome::Failed(message)) => message,
            _ => format!(
                "{crash}; by itself it does not: one of the {before} cases before it did damage"
            ),
        })
    }

    fn late(&self) -> String {
        format!("it did not end within {} s", self.deadline.as_secs_f64())
    }
}

fn crashed(worker: &Worker, status: ExitStatus) -> String {
    let words = worker.last_words();
    let words = if words.is_empty() { words } else { format!("; its last words: {words}") };
    format!("the process crashed: {}{words}", how_it_ended(status))
}
