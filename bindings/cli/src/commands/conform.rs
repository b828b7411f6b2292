//! `remuda conform`: whether a provider keeps to the contract.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use remuda::conformance::{CaseReport, Kit, Outcome, Skips, Subject, built_in};

use crate::failure::Failure;
use crate::libraries;

/// Arguments of `remuda conform`.
#[derive(Debug, clap::Args)]
pub(super) struct ConformArgs {
    /// The provider library, or `cpu` for the one that is built in
    #[arg(value_name = "LIBRARY")]
    library: PathBuf,
    /// An option that the provider is opened with; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    /// Only cases of this name, `*` standing for anything: `ops/Add/*`; may be repeated
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// The file of cases that are skipped, each with its reason: the provider's conformance.toml
    #[arg(long, value_name = "FILE")]
    skips: Option<PathBuf>,
    /// How long one case may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected `key=value`".to_owned()),
    }
}

/// Tries a provider; says whether it conforms.
pub(super) fn run(args: &ConformArgs) -> Result<bool, Failure> {
    let skips = args.skips.as_deref().map(Skips::read).transpose();
    let prober = libraries::prober().ok_or_else(|| {
        Failure::usage("this program does not know where it lies, and cannot start workers")
    })?;
    let kit = Kit {
        subject: Subject::named(&args.library, &built_in()),
        options: args.options.clone(),
        prober,
        only: args.only.clone(),
        skips: skips.map_err(|error| Failure::usage(error.to_string()))?,
        deadline: Duration::from_secs(args.deadline),
    };
    let mut progress = Progress::new();
    let report = kit.run(&mut |case| progress.note(case));
    progress.end();
    let report = report.map_err(|error| Failure::usage(error.to_string()))?;
    if args.json {
        let mut value = serde_json::to_value(&report).unwrap_or_default();
        value["conforms"] = report.conforms().into();
        outln!("{value:#}");
    } else {
        out!("{report}");
    }
    Ok(report.conforms())
}

/// How far it is, on a terminal.
struct Progress {
    shown: bool,
    done: usize,
    failed: usize,
}

impl Progress {
    fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), done: 0, failed: 0 }
    }

    fn note(&mut self, case: &CaseReport) {
        self.done += 1;
        self.failed += usize::from(matches!(case.outcome, Outcome::Failed(_)));
        if self.shown {
            note!("\r{} cases, {} failed: {:<40.40}", self.done, self.failed, case.name);
        }
    }

    fn end(&self) {
        if self.shown {
            note!("\r{:78}\r", "");
        }
    }
}
