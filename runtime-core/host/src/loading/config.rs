//! `plugins.toml`: which provider libraries may be loaded, in which order, with which limits.
//!
//! A key that is not known is an error with the nearest known one, never ignored: a misspelt
//! allow-list would otherwise allow everything.

mod file;
mod keys;

use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda_abi as abi;
use remuda_base::{Map, knobs};
use remuda_plan::{Demands, Policy};
use serde::Deserialize;

use super::manifest::Manifest;
use super::trust;
use crate::process::Prober;

/// What `plugins.toml` says, and what the environment adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Providers by library or by name.
    pub providers: Vec<Entry>,
    /// Folders whose libraries are looked at, and whether each must be there.
    pub folders: Vec<(PathBuf, bool)>,
    /// Installed packages that announce provider libraries.
    pub packages: Vec<Package>,
    /// Libraries and folders that the environment names.
    pub environment: Vec<PathBuf>,
    /// Backends in order of preference, where the program asks for none.
    pub order: Vec<String>,
    /// SHA-256 of the only libraries that may be loaded, in lower case; absent: all may.
    pub allow: Option<Vec<String>>,
    /// How libraries are tried before they are loaded.
    pub isolation: Isolation,
    /// How long a probe may take.
    pub probe_deadline: Duration,
    /// How worker processes are started; absent where this program cannot start one.
    pub prober: Option<Prober>,
    /// How a provider is run in a process of its own; absent where this program cannot do that.
    pub isolate: Option<Isolate>,
    /// Bytes of memory that may be used of devices, by the names of backends: `ggml`, `ggml:cuda:0`, `cpu`.
    pub budgets: Map<String, u64>,
    /// What placement must keep to.
    pub contract: Demands,
    /// What decides where a node runs, if the file says so.
    pub policy: Option<Policy>,
}

/// One `[[provider]]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The library; absent where the entry only says how a provider found elsewhere is opened.
    pub library: Option<PathBuf>,
    /// The provider's name.
    pub name: Option<String>,
    /// Whether it may be used.
    pub disabled: bool,
    /// The library's SHA-256, in lower case.
    pub sha256: Option<String>,
    /// How it is tried, if not like the others.
    pub isolation: Option<Isolation>,
    /// What it is opened with.
    pub options: Vec<(String, String)>,
}

/// An installed package that announces provider libraries, by whatever means packages have for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// What installers call it.
    pub name: String,
    /// The folder with its libraries, or why there is none.
    pub folder: Result<PathBuf, String>,
}

/// Makes a table whose functions are done by a worker process with a library, and the option that it is
/// opened with.
pub type MakeIsolated = fn(&Prober, &Path, &Manifest) -> (&'static abi::Provider, (String, String));

/// How a provider is run in a process of its own.
#[derive(Clone, Copy, Debug)]
pub struct Isolate(pub MakeIsolated);

impl PartialEq for Isolate {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

/// How a library is tried before it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A child process loads it first, opens its devices and runs a small kernel.
    #[default]
    Probe,
    /// It is tried so, and then runs in a process of its own: this program never loads it.
    Process,
    /// It is loaded at once.
    None,
}

/// Why `plugins.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could have written it.
    #[error("`{}` is not used: {reason}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is not what such a file is.
    #[error("`{}`, line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value makes no sense.
    #[error("`{}`: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// How long a probe may take, if nothing else is said: drivers of accelerators take seconds.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);

impl Default for Config {
    /// Nothing is looked for.
    fn default() -> Self {
        Self {
            file: None,
            providers: Vec::new(),
            folders: Vec::new(),
            packages: Vec::new(),
            environment: Vec::new(),
            order: Vec::new(),
            allow: None,
            isolation: Isolation::default(),
            probe_deadline: PROBE_DEADLINE,
            prober: None,
            isolate: None,
            budgets: Map::new(),
            contract: Demands::default(),
            policy: None,
        }
    }
}

impl Config {
    /// Reads a file, and what the environment adds. A file that others could have written is refused.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let real = path.canonicalize().map_err(read)?;
        trust::check(&real)
            .map_err(|reason| ConfigError::Untrusted { path: path.to_owned(), reason })?;
        let text = std::fs::read_to_string(&real).map_err(read)?;
        let mut config = Self::parse(&text, path)?;
        config.environment = environment();
        Ok(config)
    }

    /// The file that the environment names, else the user's, else the machine's, else no file; and what
    /// the environment adds.
    ///
    /// # Errors
    /// When there is a file and it cannot be used.
    pub fn find() -> Result<Self, ConfigError> {
        if let Some(named) = knobs::PLUGINS.text() {
            return Self::read(Path::new(&named));
        }
        let user = knobs::CONFIG_HOME.text().map(PathBuf::from);
        let user = user.or_else(|| Some(home()?.join(".config")));
        let places = user.into_iter().chain([PathBuf::from("/etc")]);
        let file = places.map(|place| place.join("remuda/plugins.toml")).find(|file| file.exists());
        file.map_or_else(
            || {
                let folders = standard_folders();
                Ok(Self { folders, environment: environment(), ..Self::default() })
            },
            |file| Self::read(&file),
        )
    }

    /// Reads the text of a file that lies at `path`: relative names in it start there.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        file::parse(text, path)
    }

    /// What one library is opened with and how it is tried, by its file or by its name.
    #[must_use]
    pub fn entry(&self, library: &Path, name: &str) -> Option<&Entry> {
        let by_file = |entry: &&Entry| entry.library.as_deref() == Some(library);
        let by_name =
            |entry: &&Entry| entry.library.is_none() && entry.name.as_deref() == Some(name);
        self.providers.iter().find(by_file).or_else(|| self.providers.iter().find(by_name))
    }
}

/// Where installers put provider libraries.
pub(crate) fn standard_folders() -> Vec<(PathBuf, bool)> {
    let own = home().map(|home| home.join(".local/lib/remuda/providers"));
    let shared = ["/usr/local/lib/remuda/providers", "/usr/lib/remuda/providers"];
    own.into_iter().chain(shared.map(PathBuf::from)).map(|folder| (folder, false)).collect()
}

fn home() -> Option<PathBuf> {
    knobs::HOME.text().map(PathBuf::from)
}

fn environment() -> Vec<PathBuf> {
    knobs::PROVIDERS.text().map_or_else(Vec::new, |list| std::env::split_paths(&list).collect())
}
