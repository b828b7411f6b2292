//! External data in the folder of the model: opened without ever leaving it.
//!
//! The location is the model's choice, and models come from strangers. It must be relative, without
//! `..`; no part of it may be a symbolic link (checked by the kernel while it opens, not before);
//! the file must be regular and have one name only, unless hard links are allowed. Past mistakes of
//! this kind: CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34446, CVE-2026-34447.

#[cfg_attr(unix, path = "external/unix.rs")]
#[cfg_attr(not(unix), path = "external/portable.rs")]
mod system;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda_mapped::MappedFile;
use remuda_tensor::Memory;

use crate::error::{At, ImportError, Result};
use crate::{ExternalData, ImportOptions, Model, import};

/// Imports the model at this path. Its external data is looked for in the folder it is in, unless
/// the options say otherwise.
///
/// # Errors
/// When the file cannot be mapped, or as [`import`].
pub fn import_file(path: &Path, options: &ImportOptions) -> Result<Model> {
    let place = || format!("file `{}`", path.display());
    let bytes = MappedFile::open(path).map_err(|error| unreadable(&error)).at(place)?;
    let mut options = options.clone();
    if options.external.is_none() {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        options.external = Some(Arc::new(Folder::new(parent.unwrap_or(Path::new(".")))));
    }
    import(Arc::new(bytes), &options)
}

/// A folder with external data.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    hard_links: bool,
}

impl Folder {
    /// The folder at this path, which itself is trusted: it may be reached through links.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), hard_links: false }
    }

    /// The same, with files that have other names elsewhere.
    #[must_use]
    pub fn allow_hard_links(self) -> Self {
        Self { hard_links: true, ..self }
    }

    fn map(&self, location: &str) -> Result<MappedFile> {
        let parts = parts(location)?;
        let file = system::open_beneath(&self.path, &parts).map_err(|error| explain(&error))?;
        let metadata = file.metadata().map_err(|error| unreadable(&error))?;
        if !metadata.is_file() {
            return Err(ImportError::invalid("it is no regular file"));
        }
        let names = system::link_count(&metadata);
        if names > 1 && !self.hard_links {
            return Err(ImportError::invalid(format!(
                "it has {names} names (hard links), expected one"
            ))
            .hint("copy the file, or allow hard links if you trust the model"));
        }
        MappedFile::of(&file).map_err(|error| unreadable(&error))
    }
}

impl ExternalData for Folder {
    fn open(&self, location: &str) -> Result<Arc<dyn Memory>> {
        let mapped =
            self.map(location).at(|| format!("external data `{}`", location.escape_debug()))?;
        Ok(Arc::new(mapped))
    }
}

/// What `open_beneath` of the system refuses.
#[derive(Debug)]
enum Refusal {
    /// A part of the location is a symbolic link.
    Link,
    /// The system says why.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens one file.
type Opened = std::result::Result<File, Refusal>;

fn explain(refusal: &Refusal) -> ImportError {
    match refusal {
        Refusal::Link => ImportError::invalid("a symbolic link is on its path")
            .hint("put the file itself beside the model"),
        Refusal::Io(error) => unreadable(error),
    }
}

fn unreadable(error: &io::Error) -> ImportError {
    match error.kind() {
        io::ErrorKind::NotFound => ImportError::resource("there is no such file"),
        io::ErrorKind::PermissionDenied => ImportError::resource("permission denied"),
        _ => ImportError::resource(error.to_string()),
    }
}

/// The names that lead from the folder to the file.
fn parts(location: &str) -> Result<Vec<&str>> {
    let refuse = |reason: &str| Err(ImportError::invalid(format!("the location {reason}")));
    if location.contains('\0') {
        return refuse("holds a zero byte");
    }
    if location.contains('\\') {
        return refuse("holds a backslash, expected `/` between names");
    }
    let drive = matches!(location.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if location.starts_with('/') || (drive && (cfg!(windows) || location.get(2..3) == Some("/"))) {
        return refuse("is absolute, expected a path relative to the model");
    }
    let parts: Vec<&str> = location.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refuse("leaves the folder of the model by `..`");
    }
    if parts.is_empty() {
        return refuse("names no file");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
