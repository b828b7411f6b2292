//! The host's side of a probe: starts the child, listens, ends it at the deadline.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{ENDING, JOB, Line, Report, Request};
use crate::loading::Verdict;
use crate::process::{Heard, Prober, Worker, how_it_ended};

/// What came of a probe.
pub(in crate::loading) enum Probed {
    /// The child used the library and lived.
    Passed {
        /// What it found.
        report: Report,
        /// What is still worth knowing.
        note: Option<String>,
    },
    /// It must not be loaded.
    Failed(Verdict),
    /// There was no child to try it.
    Impossible(String),
}

/// Tries a library. `preload` are libraries that this process has and the child must have too.
pub(in crate::loading) fn run(
    prober: &Prober,
    library: &Path,
    options: &[(String, String)],
    preload: Vec<PathBuf>,
    deadline: Duration,
) -> Probed {
    let request = Request { library: library.to_owned(), options: options.to_vec(), preload };
    let mut worker = match Worker::start(prober, JOB, &request) {
        Ok(worker) => worker,
        Err(error) => {
            let program = prober.program.display();
            return Probed::Impossible(format!("`{program}` cannot be started: {error}"));
        }
    };
    let end = Instant::now() + deadline;
    let mut course = Course { stage: None, answer: None };
    let status = loop {
        match worker.hear(end) {
            Heard::Line(line) => course.note(line),
            Heard::Ended(status) => break Some(status),
            Heard::Late => {
                worker.end();
                break None;
            }
        }
    };
    course.judge(&worker, status, prober, deadline)
}

/// What a child has told so far.
struct Course {
    /// What it said it would do next; nothing before its first line.
    stage: Option<String>,
    /// Its answer, and what it did when it gave it.
    answer: Option<(Line, String)>,
}

impl Course {
    fn note(&mut self, line: Line) {
        match line {
            Line::Stage(stage) => self.stage = Some(stage),
            answer => self.answer = Some((answer, self.stage.clone().unwrap_or_default())),
        }
    }

    /// `status` is how it ended; nothing if it had to be ended.
    fn judge(
        self,
        worker: &Worker,
        status: Option<ExitStatus>,
        prober: &Prober,
        deadline: Duration,
    ) -> Probed {
        let Some(stage) = self.stage else {
            let program = prober.program.display();
            return Probed::Impossible(format!(
                "`{program}` does not answer as a trial process does"
            ));
        };
        let Some(status) = status else {
            let seconds = deadline.as_secs_f64().to_string();
            return Probed::Failed(Verdict::Hung { stage, seconds });
        };
        let failed = |verdict| Probed::Failed(verdict);
        match self.answer {
            Some((Line::Done(report), _)) => {
                let note = (!status.success()).then(|| {
                    format!("its trial process crashed while {ENDING}: {}", how_it_ended(status))
                });
                Probed::Passed { report, note }
            }
            Some((Line::NotLoaded(reason), _)) => failed(Verdict::NotLoaded { reason }),
            Some((Line::Refused(reason), stage)) => failed(Verdict::Refused { stage, reason }),
            Some((Line::Lies(what), _)) => failed(Verdict::Lies { what }),
            Some((Line::Stage(_), _)) | None => {
                let words = worker.last_words();
                failed(Verdict::Crashed { stage, how: how_it_ended(status), words })
            }
        }
    }
}
