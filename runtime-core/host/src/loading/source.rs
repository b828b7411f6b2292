//! Where a provider that a worker process is to use comes from: a library, or this program itself.

use std::path::{Path, PathBuf};

use remuda_abi::Provider;
use serde::{Deserialize, Serialize};

use super::{Library, LoadError};
use crate::{Table, TableError};

/// The name and table of a provider that is linked into this program.
pub type BuiltIn = (&'static str, &'static Provider);

/// Where a provider comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A provider that is linked into this program, by name.
    BuiltIn(String),
    /// A library.
    Library(PathBuf),
}

impl Source {
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
    ///
    /// # Errors
    /// When there is no such provider, or it has no table that can be used.
    pub fn load(&self, linked: &[BuiltIn]) -> Result<(Option<Library>, Table), SourceError> {
        match self {
            Self::BuiltIn(name) => {
                let found = linked.iter().find(|(known, _)| known == name);
                let (_, table) = found.ok_or_else(|| SourceError::NotBuiltIn(name.clone()))?;
                Ok((None, Table::linked(table)?))
            }
            Self::Library(path) => {
                let library = Library::open(path)?;
                Ok((Some(library), library.table()?))
            }
        }
    }
}

/// Why a provider cannot be had from where it should come.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This program has none of this name.
    #[error("there is no built-in provider `{0}`")]
    NotBuiltIn(String),
    /// The table of the built-in one cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The library gives none.
    #[error(transparent)]
    Load(#[from] LoadError),
}
