//! Worker processes: provider libraries are tried in processes of the interpreter.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use remuda::conformance::{Kit, Skips, Subject, built_in};
use remuda::libraries::Prober;

use crate::error::bad_input;
use crate::interrupt;

/// How a worker process is started: `remuda._probe`, run by its path, so that it finds the package that
/// it belongs to. None where the interpreter does not know where it lies.
pub(crate) fn prober(py: Python<'_>) -> Option<Prober> {
    let program: PathBuf = py.import("sys").ok()?.getattr("executable").ok()?.extract().ok()?;
    let script: PathBuf =
        py.import("remuda._probe").ok()?.getattr("__file__").ok()?.extract().ok()?;
    let known = !program.as_os_str().is_empty();
    known.then(|| Prober { program, arguments: vec![script.into()] })
}

/// Does the job of a worker process, which comes on standard input. Says whether there was one.
#[pyfunction]
pub(crate) fn serve_worker(py: Python<'_>) -> bool {
    py.detach(remuda::libraries::serve_worker)
}

/// Whether a provider keeps to the contract: the report as text, and whether it does.
#[pyfunction]
#[pyo3(signature = (library, options, only, skips=None, deadline=60))]
pub(crate) fn conform(
    py: Python<'_>,
    library: PathBuf,
    options: Vec<(String, String)>,
    only: Vec<String>,
    skips: Option<PathBuf>,
    deadline: u64,
) -> PyResult<(String, bool)> {
    let no_worker = || bad_input(py, "the interpreter does not know where it lies");
    let skips = skips.as_deref().map(Skips::read).transpose();
    let kit = Kit {
        subject: Subject::named(&library, &built_in()),
        options,
        prober: prober(py).ok_or_else(no_worker)?,
        only,
        skips: skips.map_err(|error| bad_input(py, &error.to_string()))?,
        deadline: Duration::from_secs(deadline),
    };
    let report = interrupt::run(py, move |_| kit.run(&mut |_| ()))?;
    let report = report.map_err(|error| bad_input(py, &error.to_string()))?;
    Ok((report.to_string(), report.conforms()))
}
