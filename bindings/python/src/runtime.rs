//! The runtime: which backends, how many threads.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use remuda::Runtime as Inner;

use crate::error::raised;
use crate::foreign::Foreign;
use crate::interrupt;
use crate::model::Model;

/// Which backends may be used, and with how many threads.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Runtime(Inner);

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (backends, threads=None))]
    fn new(py: Python<'_>, backends: Vec<String>, threads: Option<usize>) -> PyResult<Self> {
        let builder = Inner::builder().backends(backends);
        let builder = match threads {
            Some(threads) => builder.threads(threads),
            None => builder,
        };
        builder.build().map(Self).map_err(|error| raised(py, &error))
    }

    /// Loads a model from a file.
    fn load(&self, py: Python<'_>, path: PathBuf) -> PyResult<Model> {
        let runtime = self.0.clone();
        let loaded = interrupt::run(py, move |_| runtime.load(path))?;
        loaded.map(Model::new).map_err(|error| raised(py, &error))
    }

    /// Loads a model from bytes, which are kept, not copied.
    fn load_bytes(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<Model> {
        let (runtime, bytes) = (self.0.clone(), Foreign::of_bytes(data));
        let loaded = interrupt::run(py, move |_| runtime.load_bytes(bytes))?;
        loaded.map(Model::new).map_err(|error| raised(py, &error))
    }

    /// How many threads kernels run on.
    #[getter]
    fn threads(&self) -> usize {
        self.0.threads()
    }

    /// The backends that were asked for.
    #[getter]
    fn backends(&self) -> Vec<String> {
        self.0.backends().to_vec()
    }

    /// The names of the providers that are there.
    fn providers(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let devices = self.0.devices().map_err(|error| raised(py, &error))?;
        let mut names: Vec<String> = devices.into_iter().map(|(provider, _)| provider).collect();
        names.dedup();
        Ok(names)
    }
}

/// How this package was built: version, newest opset, number of operators, target.
#[pyfunction]
pub(crate) fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("newest_opset", remuda::operators::NEWEST_OPSET)?;
    info.set_item("operators", remuda::operators::TABLE.len())?;
    info.set_item("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
    info.set_item("debug", cfg!(debug_assertions))?;
    Ok(info)
}
