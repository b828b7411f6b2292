//! Collects the wishes for a runtime.

use std::time::Duration;

use remuda_base::Map;
use remuda_exec::{Options, Target};
use remuda_host::{Provider, Table};
use remuda_ops::NEWEST_OPSET;

use super::{Runtime, select};
use crate::Error;
use crate::placement::{Contract, Policy};

/// Collects the wishes for a [`Runtime`].
#[derive(Clone, Debug)]
pub struct Builder {
    backends: Vec<String>,
    threads: Option<usize>,
    optimize: bool,
    reference: bool,
    linked: Vec<Table>,
    options: Map<String, Vec<(String, String)>>,
    session: Options,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            backends: vec!["auto".to_owned()],
            threads: None,
            optimize: true,
            reference: false,
            linked: Vec::new(),
            options: Map::new(),
            session: Options::new(NEWEST_OPSET, 1),
        }
    }

    /// The backends that may be used, in order of preference: providers (`fake`), kinds of devices
    /// (`cuda`), both (`fake:gpu`), or `auto` for everything there is, with cost deciding. The CPU is
    /// always there, and last.
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

    /// Adds a provider that is linked into this program.
    #[must_use]
    pub fn link(mut self, provider: Table) -> Self {
        self.linked.push(provider);
        self
    }

    /// An option of a provider, by the provider's name.
    #[must_use]
    pub fn provider_option(
        mut self,
        provider: impl Into<String>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.options.entry(provider.into()).or_default().push((key.into(), value.into()));
        self
    }

    /// What decides between backends that can run a node; by default the order of the list, or cost
    /// where it says `auto`.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.session.policy = Some(policy);
        self
    }

    /// What is demanded of placements.
    #[must_use]
    pub fn contract(mut self, contract: Contract) -> Self {
        self.session.contract = contract;
        self
    }

    /// The longest that a part may run anywhere but on the CPU before its backend is given up.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.session.deadline = Some(deadline);
        self
    }

    /// How large a named dimension is taken to be while planning.
    #[must_use]
    pub fn usual_size(mut self, dimension: impl Into<String>, size: usize) -> Self {
        self.session.sizes.insert(dimension.into(), size);
        self
    }

    /// A node, by name, that must run on a backend.
    #[must_use]
    pub fn pin(mut self, node: impl Into<String>, backend: impl Into<String>) -> Self {
        self.session.pins.push((node.into(), backend.into()));
        self
    }

    /// A node, by name, that must not run on a backend.
    #[must_use]
    pub fn forbid(mut self, node: impl Into<String>, backend: impl Into<String>) -> Self {
        self.session.forbids.push((Some(node.into()), backend.into()));
        self
    }

    /// Sets the runtime up.
    ///
    /// # Errors
    /// When a backend is not known, a provider cannot be opened, or an environment knob holds
    /// nonsense.
    pub fn build(mut self) -> Result<Runtime, Error> {
        let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let threads = match self.threads {
            Some(0) => return Err(Error::Setup("expected at least 1 thread, got 0".to_owned())),
            Some(threads) => threads,
            None => remuda_kernels::threads::default_threads().map_err(|error| setup(&error))?,
        };
        let cpu = Table::linked(remuda_cpu::table()).map_err(|error| setup(&error))?;
        let kernels = if self.reference { "reference" } else { "fast" };
        let of_cpu = self.options.entry("cpu".to_owned()).or_default();
        of_cpu.push(("kernels".to_owned(), kernels.to_owned()));
        let tables: Vec<Table> = std::iter::once(cpu).chain(self.linked).collect();
        let names: Vec<String> = tables.iter().map(Table::name).collect();
        if let Some(name) = self.options.keys().find(|name| !names.contains(name)) {
            return Err(Error::Setup(format!(
                "provider `{name}` is not available and takes no options, expected one of: {}",
                names.join(", ")
            )));
        }
        let mut devices = Vec::new();
        for (table, name) in tables.into_iter().zip(&names) {
            let options = self.options.get(name).map_or(&[][..], |options| options);
            devices.extend(open(table, threads, options).map_err(|failure| {
                Error::Setup(format!("provider `{name}` cannot be opened: {failure}"))
            })?);
        }
        let selection = select(&self.backends, &devices)?;
        Ok(Runtime {
            devices: devices.into(),
            backends: self.backends.into(),
            selection,
            session: Options { threads, ..self.session },
            optimize: self.optimize,
        })
    }
}

/// The devices of a provider.
fn open(
    table: Table,
    threads: usize,
    options: &[(String, String)],
) -> Result<Vec<Target>, remuda_host::Failure> {
    let pairs: Vec<(&str, &str)> =
        options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    Target::all_of(&Provider::open(table, threads, &pairs)?)
}
