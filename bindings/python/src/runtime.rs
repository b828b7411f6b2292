//! The runtime: which backends, how many threads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use remuda::Runtime as Inner;
use remuda::libraries::{Looked, Package};
use remuda::placement::Strictness;

use crate::error::raised;
use crate::foreign::Foreign;
use crate::interrupt;
use crate::model::Model;
use crate::placement;
use crate::worker;

/// Which backends may be used, and with how many threads.
#[pyclass(module = "remuda._core", frozen)]
#[derive(Debug)]
pub(crate) struct Runtime(Inner);

impl Runtime {
    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (backends, threads=None, plugins=None, options=None, contract=None, packages=None, repack=true, without_rewrites=None, pins=None))]
    #[expect(clippy::too_many_arguments, reason = "each is one of Python's arguments")]
    fn new(
        py: Python<'_>,
        backends: Option<Vec<String>>,
        threads: Option<usize>,
        plugins: Option<PathBuf>,
        options: Option<BTreeMap<String, BTreeMap<String, String>>>,
        contract: Option<&Bound<'_, PyDict>>,
        packages: Option<Vec<(String, Option<PathBuf>, String)>>,
        repack: bool,
        without_rewrites: Option<Vec<String>>,
        pins: Option<BTreeMap<String, String>>,
    ) -> PyResult<Self> {
        let mut builder = Inner::builder().prober(worker::prober(py)).repack(repack);
        builder = builder.usual_fallback(Strictness::Warn);
        if let Some(backends) = backends {
            builder = builder.backends(backends);
        }
        if let Some(threads) = threads {
            builder = builder.threads(threads);
        }
        if let Some(plugins) = plugins {
            builder = builder.plugins(plugins);
        }
        for name in without_rewrites.unwrap_or_default() {
            builder = builder.without_rewrite(name);
        }
        for (node, backend) in pins.unwrap_or_default() {
            builder = builder.pin(node, backend);
        }
        for (name, folder, reason) in packages.unwrap_or_default() {
            let folder = folder.ok_or(reason);
            builder = builder.provider_package(Package { name, folder });
        }
        for (provider, options) in options.unwrap_or_default() {
            for (key, value) in options {
                builder = builder.provider_option(&provider, key, value);
            }
        }
        if let Some(contract) = contract {
            builder = placement::demand(builder, contract)?;
        }
        let built = py.detach(|| builder.build());
        built.map(Self).map_err(|error| raised(py, &error))
    }

    /// The same runtime with other backends: for what it loads from now on.
    fn with_backends(&self, py: Python<'_>, backends: Vec<String>) -> PyResult<Self> {
        self.0.with_backends(backends).map(Self).map_err(|error| raised(py, &error))
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

    /// Every name that means something as a backend here: providers, kinds of devices, both.
    fn backend_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let devices = self.0.devices().map_err(|error| raised(py, &error))?;
        let names = devices.into_iter().flat_map(|(provider, device)| {
            let both = format!("{provider}:{}", device.kind);
            [provider, device.kind, both]
        });
        Ok(std::iter::once("auto".to_owned()).chain(names).collect())
    }

    /// Every device of every provider.
    fn devices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (provider, device) in self.0.devices().map_err(|error| raised(py, &error))? {
            let dict = PyDict::new(py);
            dict.set_item("provider", provider)?;
            dict.set_item("kind", device.kind)?;
            dict.set_item("name", device.name)?;
            dict.set_item("memory_bytes", device.total_bytes)?;
            dict.set_item("unusable", device.unusable)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// Every provider library that was looked at, and what came of it.
    fn libraries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for looked in self.0.libraries() {
            list.append(library(py, looked)?)?;
        }
        Ok(list)
    }

    /// The names of the providers that are there.
    fn providers(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let devices = self.0.devices().map_err(|error| raised(py, &error))?;
        let mut names: Vec<String> = devices.into_iter().map(|(provider, _)| provider).collect();
        names.dedup();
        Ok(names)
    }
}

/// What came of a library.
fn library<'py>(py: Python<'py>, looked: &Looked) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", looked.path.to_string_lossy())?;
    let manifest = looked.manifest.as_ref();
    dict.set_item("provider", manifest.map(|manifest| &manifest.name))?;
    dict.set_item("version", manifest.map(|manifest| &manifest.version))?;
    dict.set_item("usable", looked.verdict.is_ready())?;
    dict.set_item("problem", looked.is_problem())?;
    dict.set_item("message", looked.verdict.to_string())?;
    dict.set_item("hint", looked.verdict.cure())?;
    dict.set_item("text", looked.to_string())?;
    Ok(dict)
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
