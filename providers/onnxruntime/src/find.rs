//! Where libonnxruntime is: what the user names, else the installed Python package, else the system's.
//!
//! What the user names is used or nothing is. Every place that was looked at is told, for a message
//! that says only "not found" helps nobody.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use remuda_base::knobs;

use crate::api::{Api, Environments};

/// A loaded library. It stays for as long as the process.
pub(crate) struct Library {
    pub(crate) api: Api,
    pub(crate) environments: Environments,
}

/// One place that was looked at, and what was there.
#[derive(Debug)]
struct Try {
    place: String,
    found: String,
}

/// No library could be used: everything that was tried, and what to do.
#[derive(Debug, Default)]
pub(crate) struct NotFound(Vec<Try>);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no ONNX Runtime could be loaded: ")?;
        for Try { place, found } in &self.0 {
            write!(f, "{place}: {found}; ")?;
        }
        f.write_str(
            "install one with `pip install onnxruntime`, or name the file by option `library`",
        )?;
        write!(f, " or `{}`", knobs::ONNXRUNTIME.name)
    }
}

static LOADED: Mutex<Vec<&'static Library>> = Mutex::new(Vec::new());

/// The library that the user names, else the first that can be used.
pub(crate) fn library(option: Option<&str>) -> Result<&'static Library, NotFound> {
    let named = match (option, knobs::ONNXRUNTIME.text()) {
        (Some(path), _) => Some(("option `library`".to_owned(), PathBuf::from(path))),
        (None, Some(path)) => Some((format!("`{}`", knobs::ONNXRUNTIME.name), path.into())),
        (None, None) => None,
    };
    let mut tries = NotFound::default();
    if let Some((place, path)) = named {
        return tries.load(place, &path).ok_or(tries);
    }
    let folders = packages();
    for folder in &folders {
        for path in libraries_of(&folder.join("onnxruntime").join("capi")) {
            if let Some(library) = tries.load(format!("`{}`", path.display()), &path) {
                return Ok(library);
            }
        }
    }
    if tries.0.is_empty() {
        let listed: Vec<String> =
            folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let found = match &listed[..] {
            [] => "no folder of packages is known; activate the environment".to_owned(),
            listed => format!("not in {}", listed.join(", ")),
        };
        tries.0.push(Try { place: "Python package `onnxruntime`".to_owned(), found });
    }
    for name in SYSTEM {
        if let Some(library) = tries.load(format!("system's `{name}`"), Path::new(name)) {
            return Ok(library);
        }
    }
    Err(tries)
}

/// What the system's loader is asked for.
const SYSTEM: &[&str] = if cfg!(windows) {
    &["onnxruntime.dll"]
} else if cfg!(target_vendor = "apple") {
    &["libonnxruntime.dylib"]
} else {
    &["libonnxruntime.so.1", "libonnxruntime.so"]
};

impl NotFound {
    /// Loads a library, or notes why that failed.
    fn load(&mut self, place: String, path: &Path) -> Option<&'static Library> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.iter().find(|library| library.api.path == path) {
            return Some(library);
        }
        match Api::load(path) {
            Ok(api) => {
                let library = Library { api, environments: Environments::default() };
                let library: &'static Library = Box::leak(Box::new(library));
                loaded.push(library);
                Some(library)
            }
            Err(error) => {
                self.0.push(Try { place, found: error.to_string() });
                None
            }
        }
    }
}

/// The files of ONNX Runtime in a folder, newest first.
fn libraries_of(folder: &Path) -> Vec<PathBuf> {
    let is_it = |name: &str| {
        name.starts_with("libonnxruntime.") && (name.contains(".so") || name.contains(".dylib"))
            || name == "onnxruntime.dll"
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_it))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.reverse();
    files
}

/// Folders of installed Python packages: those of this process, of its program, of the active
/// environment.
fn packages() -> Vec<PathBuf> {
    let mut folders = of_process();
    let prefix = std::env::current_exe().ok().and_then(|program| {
        let folder = program.parent()?;
        Some(folder.parent()?.to_owned())
    });
    let active = knobs::PYTHON_ENVIRONMENT.text().map(PathBuf::from);
    for prefix in prefix.into_iter().chain(active) {
        for library in ["lib", "lib64"] {
            let entries = std::fs::read_dir(prefix.join(library)).into_iter().flatten().flatten();
            let mut pythons: Vec<PathBuf> = entries
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
                .flat_map(|entry| PACKAGES.map(|packages| entry.path().join(packages)))
                .collect();
            pythons.sort();
            folders.extend(pythons);
        }
        folders.push(prefix.join("Lib").join("site-packages"));
    }
    folders.retain(|folder| folder.is_dir());
    let mut known = Vec::new();
    folders.retain(|folder| {
        let new = !known.contains(folder);
        known.push(folder.clone());
        new
    });
    folders
}

const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// Where the libraries lie that this process has loaded, as far as the system tells: a Python process
/// has its packages' libraries loaded, this one among them where it was installed as a package.
fn of_process() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let folder = |line: &str| {
        let path = Path::new(line.get(line.find('/')?..)?);
        let is_packages = |folder: &&Path| {
            folder.file_name().is_some_and(|name| PACKAGES.iter().any(|known| name == *known))
        };
        Some(path.ancestors().find(is_packages)?.to_owned())
    };
    maps.lines().filter_map(folder).collect()
}

#[cfg(test)]
mod tests {
    use super::{NotFound, libraries_of};
    use std::path::Path;

    #[test]
    fn what_cannot_be_loaded_is_told_with_the_place_and_the_cure() {
        let mut tries = NotFound::default();
        let missing = Path::new("/nowhere/libonnxruntime.so");
        assert!(tries.load("option `library`".to_owned(), missing).is_none());
        let text = tries.to_string();
        assert!(
            text.contains("option `library`: /nowhere/libonnxruntime.so: cannot open"),
            "{text}"
        );
        assert!(text.contains("pip install onnxruntime"), "{text}");
    }

    #[test]
    fn another_library_is_told_to_be_no_onnx_runtime() {
        let mut tries = NotFound::default();
        assert!(tries.load("x".to_owned(), Path::new("libm.so.6")).is_none());
        assert!(tries.to_string().contains("it has no `OrtGetApiBase`"), "{tries}");
    }

    #[test]
    fn the_shared_part_of_execution_providers_is_not_the_library() {
        let folder = std::env::temp_dir().join(format!("remuda-ort-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime_providers_shared.so", "x.so"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let found = libraries_of(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [folder.join("libonnxruntime.so.1.9.0")]);
    }
}
