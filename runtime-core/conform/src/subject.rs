//! What is tried: a library, or a provider that is linked into this program.

use std::path::{Path, PathBuf};

use remuda_abi::Provider;
use remuda_host::Table;
use remuda_host::loading::Library;
use serde::{Deserialize, Serialize};

/// The name and table of a provider that is linked into this program.
pub type BuiltIn = (&'static str, &'static Provider);

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A provider that is linked into this program, by name.
    BuiltIn(String),
    /// A library.
    Library(PathBuf),
}

impl Subject {
    /// The built-in provider of this name, if there is one and no file has that name; else the library.
    #[must_use]
    pub fn named(name: &Path, linked: &[BuiltIn]) -> Self {
        match name.to_str().filter(|_| !name.exists()) {
            Some(text) if linked.iter().any(|(known, _)| *known == text) => {
                Self::BuiltIn(text.to_owned())
            }
            // A name without a folder would be searched where the system keeps its libraries.
            _ => Self::Library(name.canonicalize().unwrap_or_else(|_| name.to_owned())),
        }
    }

    /// Its library, where it has one, and its table.
    pub(crate) fn load(&self, linked: &[BuiltIn]) -> Result<(Option<Library>, Table), String> {
        match self {
            Self::BuiltIn(name) => {
                let found = linked.iter().find(|(known, _)| known == name);
                let (_, table) =
                    found.ok_or_else(|| format!("there is no built-in provider `{name}`"))?;
                Ok((None, Table::linked(table).map_err(|error| error.to_string())?))
            }
            Self::Library(path) => {
                let library = Library::open(path).map_err(|error| error.to_string())?;
                let table = library.table().map_err(|error| error.to_string())?;
                Ok((Some(library), table))
            }
        }
    }
}
