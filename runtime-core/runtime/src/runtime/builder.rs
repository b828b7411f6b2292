//! Collects the wishes for a runtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use remuda_base::Map;
use remuda_cache::Cache;
use remuda_exec::{Options, Target, budgets};
use remuda_host::loading::{Config, Package, Prober, Registry};
use remuda_host::{Failure, Provider, Table};
use remuda_ops::NEWEST_OPSET;
use remuda_passes::Options as Rewrites;

use super::{Runtime, select};
use crate::Error;
use crate::placement::{Contract, Demands, Policy, Strictness};

/// Collects the wishes for a [`Runtime`].
#[derive(Clone, Debug)]
pub struct Builder {
    /// `None` until somebody asks for some: then `plugins.toml` may say, else it is `auto`.
    backends: Option<Vec<String>>,
    threads: Option<usize>,
    optimize: bool,
    /// Rewrites that are left out, by name.
    without: Vec<String>,
    packs: bool,
    cache: Option<Option<Cache>>,
    reference: bool,
    plugins: Plugins,
    packages: Vec<Package>,
    prober: Option<Prober>,
    linked: Vec<Table>,
    options: Map<String, Vec<(String, String)>>,
    contract: Option<Contract>,
    demands: Demands,
    usual_fallback: Strictness,
    session: Options,
}

/// Where provider libraries are looked for.
#[derive(Clone, Debug)]
enum Plugins {
    /// Where the environment, the user's file or the machine's says.
    Standard,
    /// Where this file says.
    File(PathBuf),
    /// Nowhere.
    None,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            backends: None,
            threads: None,
            optimize: true,
            without: Vec::new(),
            packs: true,
            cache: None,
            reference: false,
            plugins: Plugins::Standard,
            packages: Vec::new(),
            prober: None,
            linked: Vec::new(),
            contract: None,
            demands: Demands::default(),
            usual_fallback: Strictness::default(),
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
        self.backends = Some(backends.into_iter().map(Into::into).collect());
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

    /// Leaves out a rewrite of graphs, by its name: to find out whether it is the cause of something.
    #[must_use]
    pub fn without_rewrite(mut self, name: impl Into<String>) -> Self {
        self.without.push(name.into());
        self
    }

    /// Whether the CPU's kernels copy weights into forms of their own (by default they do). Without, runs
    /// take longer, and weights take no memory beside the mapped file.
    #[must_use]
    pub fn repack(mut self, repack: bool) -> Self {
        self.packs = repack;
        self
    }

    /// Whether a model's plan is tried against all-CPU and against single backends before its first run,
    /// and the fastest is kept (by default it is, where costs decide between backends).
    #[must_use]
    pub fn canary(mut self, canary: bool) -> Self {
        self.session.canary = canary;
        self
    }

    /// Where plans, speeds of devices and refusals are kept, in place of the standard folder; `None` for
    /// nowhere.
    #[must_use]
    pub fn cache(mut self, cache: Option<Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Runs everything on the slow reference kernels: the oracle, for tests.
    #[must_use]
    pub fn reference(mut self, reference: bool) -> Self {
        self.reference = reference;
        self
    }

    /// The `plugins.toml` that says which provider libraries may be loaded, in place of the standard
    /// one.
    #[must_use]
    pub fn plugins(mut self, file: impl Into<PathBuf>) -> Self {
        self.plugins = Plugins::File(file.into());
        self
    }

    /// Loads no provider libraries.
    #[must_use]
    pub fn without_plugins(mut self) -> Self {
        self.plugins = Plugins::None;
        self
    }

    /// An installed package whose provider libraries are looked at after those that `plugins.toml` and
    /// provider folders have.
    #[must_use]
    pub fn provider_package(mut self, package: Package) -> Self {
        self.packages.push(package);
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

    /// What is demanded of placements, in place of whatever `plugins.toml` demands.
    #[must_use]
    pub fn contract(mut self, contract: Contract) -> Self {
        self.contract = Some(contract);
        self
    }

    /// What is demanded of placements; what it leaves open is as `plugins.toml` says.
    #[must_use]
    pub fn demand(mut self, demands: Demands) -> Self {
        self.demands = demands.or(self.demands);
        self
    }

    /// What happens when the CPU has to run what nobody asked it to, where neither the program nor
    /// `plugins.toml` demands anything of placements.
    #[must_use]
    pub fn usual_fallback(mut self, strictness: Strictness) -> Self {
        self.usual_fallback = strictness;
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

    /// How a library is tried in a process of its own before it is loaded; without one it is not.
    #[must_use]
    pub fn prober(mut self, prober: Option<Prober>) -> Self {
        self.prober = prober;
        self
    }

    /// Sets the runtime up.
    ///
    /// # Errors
    /// When a backend is not known, or not there and the contract allows no fallback, a provider does not
    /// take its options, or an environment knob or a demand holds nonsense.
    pub fn build(mut self) -> Result<Runtime, Error> {
        let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let threads = match self.threads {
            Some(0) => return Err(Error::Setup("expected at least 1 thread, got 0".to_owned())),
            Some(threads) => threads,
            None => remuda_kernels::threads::default_threads().map_err(|error| setup(&error))?,
        };
        let rewrites = self.rewrites()?;
        let config = self.config()?;
        let libraries = Registry::discover(&config);
        let kernels = if self.reference { "reference" } else { "fast" };
        let of_cpu = self.options.entry("cpu".to_owned()).or_default();
        of_cpu.push(("kernels".to_owned(), kernels.to_owned()));
        let packing = if self.packs { "on" } else { "off" };
        of_cpu.push(("packing".to_owned(), packing.to_owned()));
        let cache = match self.cache.take() {
            Some(cache) => cache,
            None => Cache::standard().map_err(|error| setup(&error))?,
        };
        if let Some(cache) = &cache
            && let Some(folder) = cache.folder().to_str()
        {
            of_cpu.push(("keep".to_owned(), folder.to_owned()));
            of_cpu.push(("keep_bytes".to_owned(), cache.limit().to_string()));
        }
        let (devices, unopened) = self.devices(threads, &libraries)?;
        let order = (!config.order.is_empty()).then_some(config.order);
        let backends = self.backends.or(order).unwrap_or_else(|| vec!["auto".to_owned()]);
        let contract = match self.contract {
            Some(contract) => contract,
            None => {
                let demands = self.demands.or(config.contract);
                demands.contract(self.usual_fallback).map_err(Error::Setup)?
            }
        };
        let selection = select(&backends, &devices, &unopened, contract.fallback)?;
        let mut session = self.session;
        session.threads = threads;
        session.cache = cache;
        (session.budgets, session.notices) = budgets(&config.budgets, &devices);
        session.policy = session.policy.or(config.policy);
        session.contract = contract;
        Ok(Runtime {
            devices: devices.into(),
            unopened: unopened.into(),
            libraries: libraries.looked.into(),
            backends: backends.into(),
            selection,
            session,
            rewrites,
            packs: self.packs,
            measured: Arc::default(),
        })
    }

    fn rewrites(&self) -> Result<Rewrites, Error> {
        if !self.optimize {
            return Ok(Rewrites::none());
        }
        let mut names = self.without.iter();
        let rewrites = names.try_fold(Rewrites::default(), |rewrites, name| rewrites.without(name));
        rewrites.map_err(|error| Error::Setup(error.to_string()))
    }

    /// What `plugins.toml` says; nothing where no library could be used anyway.
    fn config(&self) -> Result<Config, Error> {
        let found = match &self.plugins {
            Plugins::Standard => Config::find(),
            Plugins::File(file) => Config::read(file),
            Plugins::None => return Ok(Config::default()),
        };
        let mut config = found.map_err(|error| Error::Setup(error.to_string()))?;
        config.packages.clone_from(&self.packages);
        let isolate = Some(crate::libraries::isolate());
        Ok(Config { prober: self.prober.clone(), isolate, ..config })
    }

    /// Every device of every provider, the CPU's first; and the providers that cannot be opened, with
    /// the reason. Only the CPU must be.
    fn devices(&self, threads: usize, libraries: &Registry) -> Result<Opened, Error> {
        let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let cpu = Table::linked(remuda_cpu::table()).map_err(|error| setup(&error))?;
        let linked = std::iter::once(cpu).chain(self.linked.iter().copied());
        let mut offered: Vec<Offered<'_>> =
            linked.map(|table| Offered { table, options: &[], build: String::new() }).collect();
        offered.extend(libraries.providers.iter().map(|found| Offered {
            table: found.table,
            options: &found.options,
            build: found.build(),
        }));
        let names: Vec<String> = offered.iter().map(|offered| offered.table.name()).collect();
        if let Some(name) = self.options.keys().find(|name| !names.contains(name)) {
            return Err(Error::Setup(format!(
                "provider `{name}` is not available and takes no options, expected one of: {}",
                names.join(", ")
            )));
        }
        let (mut devices, mut unopened) = (Vec::new(), Vec::new());
        for (Offered { table, options: of_file, build }, name) in offered.into_iter().zip(names) {
            let own = self.options.get(&name).map_or(&[][..], |options| options);
            let options: Vec<(&str, &str)> =
                of_file.iter().chain(own).map(|(key, value)| (&**key, &**value)).collect();
            let opened = Provider::open(table, threads, &options);
            let opened = opened.map(|provider| provider.of_build(build));
            match opened.and_then(|provider| Target::all_of(&provider)) {
                Ok(found) => devices.extend(found),
                Err(failure) if devices.is_empty() => {
                    return Err(Error::Setup(format!("the CPU cannot be opened: {failure}")));
                }
                Err(failure) => unopened.push(Unopened {
                    provider: name,
                    reason: failure.to_string(),
                    is_wrong: matches!(failure, Failure::Invalid(_)),
                }),
            }
        }
        Ok((devices, unopened))
    }
}

/// A provider that may be opened.
struct Offered<'a> {
    table: Table,
    /// What `plugins.toml` says.
    options: &'a [(String, String)],
    build: String,
}

/// A provider that cannot be opened.
#[derive(Clone, Debug)]
pub(super) struct Unopened {
    pub(super) provider: String,
    pub(super) reason: String,
    /// Whether it was asked wrongly, and not that this machine lacks something.
    pub(super) is_wrong: bool,
}

/// Devices, and providers that have none because they cannot be opened.
type Opened = (Vec<Target>, Vec<Unopened>);
