//! Loading: from here on the library's own code runs.

use std::path::Path;

use remuda_abi as abi;

use crate::{Table, TableError};

/// Why a library gave no table.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
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

/// Loads a library, for good, and asks it for its table.
pub(super) fn load(path: &Path) -> Result<Table, LoadError> {
    let library = open(path).map_err(|error| LoadError::Loader(words(&error)))?;
    // A provider's threads and destructors may outlive every handle: it stays.
    let library = Box::leak(Box::new(library));
    // SAFETY: the contract gives the entry symbol this type.
    let entry = unsafe { library.get::<abi::EntryFn>(abi::ENTRY_SYMBOL) };
    let entry = entry.map_err(|_| LoadError::NoEntry)?;
    // SAFETY: the contract; the library is never unloaded, so its table lives as long as the program.
    Ok(unsafe { Table::new(entry(abi::ABI_MAJOR)) }?)
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
