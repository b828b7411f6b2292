//! The runtime: which backends, how many threads.

use std::path::Path;
use std::sync::Arc;

use remuda_host::{Device, Provider, Table};
use remuda_tensor::Memory;

use crate::{Error, Model};

/// Which backends may be used, in order of preference, and with how many threads. Cheap to clone;
/// models that it loads share its threads.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) cpu: Provider,
    pub(crate) backends: Arc<[String]>,
    pub(crate) optimize: bool,
    threads: usize,
}

/// Collects the wishes for a [`Runtime`].
#[derive(Clone, Debug)]
pub struct Builder {
    backends: Vec<String>,
    threads: Option<usize>,
    optimize: bool,
    reference: bool,
}

impl Runtime {
    /// A runtime to be set up.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            backends: vec!["auto".to_owned()],
            threads: None,
            optimize: true,
            reference: false,
        }
    }

    /// Loads a model from a file, which is mapped, not read. External data is looked for beside it.
    ///
    /// # Errors
    /// When the file cannot be read or is no model that can be run.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model, Error> {
        Model::open(self, path.as_ref())
    }

    /// Loads a model from bytes. There is no external data.
    ///
    /// # Errors
    /// When the bytes are no model that can be run.
    pub fn load_bytes(&self, bytes: Arc<dyn Memory>) -> Result<Model, Error> {
        Model::from_memory(self, bytes)
    }

    /// The backends that are asked for, in order of preference.
    #[must_use]
    pub fn backends(&self) -> &[String] {
        &self.backends
    }

    /// How many threads kernels run on.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The devices of every provider that is there, by provider name.
    ///
    /// # Errors
    /// When a provider cannot say.
    pub fn devices(&self) -> Result<Vec<(String, Device)>, Error> {
        let setup = |failure: remuda_host::Failure| Error::Setup(failure.to_string());
        let devices = self.cpu.devices().map_err(setup)?;
        Ok(devices.into_iter().map(|device| (self.cpu.name(), device)).collect())
    }
}

impl Builder {
    /// The backends that may be used, in order of preference. The CPU is always there, and last.
    #[must_use]
    pub fn backends<I>(mut self, backends: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.backends = backends.into_iter().map(Into::into).collect();
        self
    }

    /// How many threads kernels run on; by default the cores that this process may use.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Whether graphs are optimised (by default they are).
    #[must_use]
    pub fn optimize(mut self, optimize: bool) -> Self {
        self.optimize = optimize;
        self
    }

    /// Runs everything on the slow reference kernels: the oracle, for tests.
    #[must_use]
    pub fn reference(mut self, reference: bool) -> Self {
        self.reference = reference;
        self
    }

    /// Sets the runtime up.
    ///
    /// # Errors
    /// When a backend is not known, or an environment knob holds nonsense.
    pub fn build(self) -> Result<Runtime, Error> {
        const KNOWN: [&str; 2] = ["auto", "cpu"];
        for backend in &self.backends {
            if !KNOWN.contains(&backend.to_lowercase().as_str()) {
                let near = remuda_base::nearest(backend, KNOWN);
                let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
                return Err(Error::Setup(format!(
                    "backend `{backend}` is not available, expected one of: {}{hint}",
                    KNOWN.join(", ")
                )));
            }
        }
        let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let threads = match self.threads {
            Some(0) => return Err(Error::Setup("expected at least 1 thread, got 0".to_owned())),
            Some(threads) => threads,
            None => remuda_kernels::threads::default_threads().map_err(|error| setup(&error))?,
        };
        let table = Table::linked(remuda_cpu::table()).map_err(|error| setup(&error))?;
        let kernels = if self.reference { "reference" } else { "fast" };
        let cpu = Provider::open(table, threads, &[("kernels", kernels)])
            .map_err(|error| setup(&error))?;
        Ok(Runtime { cpu, backends: self.backends.into(), optimize: self.optimize, threads })
    }
}
