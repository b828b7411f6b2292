//! The runtime: which backends, how many threads.

mod builder;
mod speeds;

use std::path::Path;
use std::sync::Arc;

use remuda_exec::{Selection, Target};
use remuda_host::Device;
use remuda_host::loading::Looked;
use remuda_tensor::Memory;

pub use builder::Builder;
use builder::Unopened;
use speeds::Measured;

use crate::placement::{Policy, Strictness};
use crate::{Embedder, Error, LanguageModel, LanguageOptions, Model};

/// Which backends may be used, in order of preference, and with how many threads. Cheap to clone;
/// models that it loads share its threads.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Every device of every provider, the CPU first.
    devices: Arc<[Target]>,
    /// Providers that cannot be opened, and why.
    unopened: Arc<[Unopened]>,
    libraries: Arc<[Looked]>,
    backends: Arc<[String]>,
    pub(crate) selection: Selection,
    pub(crate) session: remuda_exec::Options,
    /// The rewrites of graphs that are made.
    pub(crate) rewrites: remuda_passes::Options,
    /// Whether kernels keep copies of weights in forms of their own.
    pub(crate) packs: bool,
    measured: Arc<Measured>,
}

impl Runtime {
    /// A runtime to be set up.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The same runtime with other backends: for what it loads from now on.
    ///
    /// # Errors
    /// When a backend is not known, or not there and the contract allows no fallback.
    pub fn with_backends<I>(&self, backends: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let backends: Arc<[String]> = backends.into_iter().map(Into::into).collect();
        let strictness = self.session.contract.fallback;
        let selection = select(&backends, &self.devices, &self.unopened, strictness)?;
        Ok(Self { backends, selection, ..self.clone() })
    }

    /// Loads a model from a file, which is mapped, not read. External data is looked for beside it.
    ///
    /// # Errors
    /// When the file cannot be read or is no model that can be run.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model, Error> {
        Model::open(self, path.as_ref())
    }

    /// Loads a language model from a GGUF file, which is mapped, not read.
    ///
    /// # Errors
    /// When the file cannot be read or is no model that can be run.
    pub fn load_language(
        &self,
        path: impl AsRef<Path>,
        options: &LanguageOptions,
    ) -> Result<LanguageModel, Error> {
        LanguageModel::open(self, path.as_ref(), options)
    }

    /// Loads a language model from the bytes of a GGUF file.
    ///
    /// # Errors
    /// When the bytes are no model that can be run.
    pub fn load_language_bytes(
        &self,
        bytes: Arc<dyn Memory>,
        options: &LanguageOptions,
    ) -> Result<LanguageModel, Error> {
        LanguageModel::from_memory(self, bytes, options)
    }

    /// Loads an encoder, which gives vectors for texts, from a GGUF file, which is mapped.
    ///
    /// # Errors
    /// When the file cannot be read or is no encoder that can be run.
    pub fn load_embedder(&self, path: impl AsRef<Path>) -> Result<Embedder, Error> {
        Embedder::open(self, path.as_ref())
    }

    /// Loads an encoder from the bytes of a GGUF file.
    ///
    /// # Errors
    /// When the bytes are no encoder that can be run.
    pub fn load_embedder_bytes(&self, bytes: Arc<dyn Memory>) -> Result<Embedder, Error> {
        Embedder::from_memory(self, bytes)
    }

    /// Loads a model from bytes. There is no external data.
    ///
    /// # Errors
    /// When the bytes are no model that can be run.
    pub fn load_bytes(&self, bytes: Arc<dyn Memory>) -> Result<Model, Error> {
        Model::from_memory(self, bytes)
    }

    /// What sessions are told; with the speeds of devices where costs decide between several.
    pub(crate) fn session_options(&self) -> remuda_exec::Options {
        let mut options = self.session.clone();
        let policy = options.policy.unwrap_or(self.selection.policy);
        if policy == Policy::Cost && self.selection.targets.len() > 1 {
            let (targets, threads) = (&self.selection.targets, self.threads());
            options.speeds = self.measured.of(targets, threads, options.cache.as_ref());
        }
        options
    }

    /// The backends that are asked for, in order of preference.
    #[must_use]
    pub fn backends(&self) -> &[String] {
        &self.backends
    }

    /// How many threads kernels run on.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.session.threads
    }

    /// Every library that was looked at for providers, and what came of it.
    #[must_use]
    pub fn libraries(&self) -> &[Looked] {
        &self.libraries
    }

    /// The devices of every provider that is there, by provider name.
    ///
    /// # Errors
    /// When a provider cannot say.
    pub fn devices(&self) -> Result<Vec<(String, Device)>, Error> {
        let named = |target: &Target| (target.provider.name(), target.device.clone());
        Ok(self.devices.iter().map(named).collect())
    }
}

/// The devices that a list of backends names; the CPU is the first of `devices`.
fn select(
    backends: &[String],
    devices: &[Target],
    unopened: &[Unopened],
    strictness: Strictness,
) -> Result<Selection, Error> {
    let (cpu, others) = devices
        .split_first()
        .ok_or_else(|| Error::Setup("the CPU provider has no device".to_owned()))?;
    for Unopened { provider, reason, .. } in unopened.iter().filter(|unopened| unopened.is_wrong) {
        let is_its = |wish: &&String| {
            wish.split(':').next().is_some_and(|owner| owner.eq_ignore_ascii_case(provider))
        };
        if let Some(wish) = backends.iter().find(is_its) {
            return Err(Error::Setup(format!("backend `{wish}` cannot be used: {reason}")));
        }
    }
    let unopened: Vec<_> =
        unopened.iter().map(|it| (it.provider.clone(), it.reason.clone())).collect();
    let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
    let selection = Selection::among(backends, others, &unopened, cpu.clone());
    let selection = selection.map_err(|error| setup(&error))?;
    match selection.missing.first() {
        Some(missing) if strictness == Strictness::Error => Err(setup(missing)),
        _ => Ok(selection),
    }
}
