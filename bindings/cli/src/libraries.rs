//! Provider libraries as the commands see them: found, tried, told.

use std::path::{Path, PathBuf};

use remuda::libraries::{Config, Looked, Prober, Registry};
use serde_json::{Value, json};

use crate::failure::Failure;

/// The first argument of a worker process: this program does one job with a library and ends.
pub(crate) const WORKER: &str = "internal-worker";

/// Where libraries are looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct LibraryArgs {
    /// Use this plugins.toml [default: that of the user, else of the machine]
    #[arg(long, value_name = "FILE")]
    plugins: Option<PathBuf>,
}

impl LibraryArgs {
    /// Looks at every library that the configuration leads to, each in a process of its own first.
    pub(crate) fn discover(&self) -> Result<Registry, Failure> {
        let config = match &self.plugins {
            Some(file) => Config::read(file),
            None => Config::find(),
        };
        let mut config = config.map_err(|error| Failure::usage(error.to_string()))?;
        config.prober = prober();
        config.isolate = Some(remuda::libraries::isolate());
        Ok(Registry::discover(&config))
    }
}

/// Worker processes are processes of this program.
pub(crate) fn prober() -> Option<Prober> {
    let program = std::env::current_exe().ok()?;
    Some(Prober { program, arguments: vec![WORKER.into()] })
}

/// The name of a provider's file, or its whole path where it has none.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Everything known of a library.
pub(crate) fn json_of(looked: &Looked) -> Value {
    let mut value = serde_json::to_value(looked).unwrap_or_else(|_| json!({}));
    value["message"] = json!(looked.verdict.to_string());
    value["cure"] = json!(looked.verdict.cure());
    value["problem"] = json!(looked.is_problem());
    value
}
