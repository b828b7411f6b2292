//! Loading: from here on the library's own code runs.

use std::path::Path;

use remuda_abi as abi;

use crate::{Table, TableError};

/// Why a library gave no table.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system's loader refuses it.
    #[error("{0}")]
    Loader(String),
    /// It has no entry symbol.
    #[error("it does not export `{}`", abi::ENTRY_SYMBOL.to_string_lossy())]
    NoEntry,
    /// Its table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// A loaded library. It stays: a provider's threads and destructors may outlive every handle.
#[derive(Clone, Copy, Debug)]
pub struct Library(&'static libloading::Library);

impl Library {
    /// Loads a library, for good.
    ///
    /// # Errors
    /// The loader's words.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let library = open(path).map_err(|error| LoadError::Loader(words(&error)))?;
        Ok(Self(Box::leak(Box::new(library))))
    }

    /// What its entry symbol gives to a host of this major version.
    ///
    /// # Errors
    /// When it has none.
    pub fn entry(&self, major: u32) -> Result<*const abi::Provider, LoadError> {
        // SAFETY: the contract gives the entry symbol this type.
        let entry = unsafe { self.0.get::<abi::EntryFn>(abi::ENTRY_SYMBOL) };
        let entry = entry.map_err(|_| LoadError::NoEntry)?;
        // SAFETY: the contract.
        Ok(unsafe { entry(major) })
    }

    /// Its table, checked.
    ///
    /// # Errors
    /// When it has none that can be used.
    pub fn table(&self) -> Result<Table, LoadError> {
        // SAFETY: the contract; the library stays, so its table lives as long as the program.
        Ok(unsafe { Table::new(self.entry(abi::ABI_MAJOR)?) }?)
    }
}

/// Loads a library for those that need it by name. One that cannot be loaded will be missed by them.
pub(super) fn preload(path: &Path) {
    if let Ok(library) = open(path) {
        Box::leak(Box::new(library));
    }
}

/// Symbols that are missing are told now and not at the first call; none of them becomes visible to
/// other libraries.
#[cfg(unix)]
fn open(path: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    // SAFETY: code of the library runs: the caller has checked who wrote it and what it says it needs.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }?;
    Ok(library.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: code of the library runs: the caller has checked who wrote it and what it says it needs.
    unsafe { libloading::Library::new(path) }
}

/// The loader's own words, which stand in the cause.
fn words(error: &libloading::Error) -> String {
    use std::error::Error;

    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
