//! Where ggml's libraries are: the folder that the user names, else the provider's own.
//!
//! What the user names is used or nothing is. There is one ggml in a process, for it registers its
//! backends in a list of the process: the first folder that could be loaded stays.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use remuda_base::knobs;

use crate::api::{Library, LoadError};

/// No folder could be used: everything that was tried, and what to do.
#[derive(Debug, Default)]
pub(crate) struct NotFound(Vec<(String, String)>);

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no ggml could be loaded: ")?;
        for (place, found) in &self.0 {
            write!(f, "{place}: {found}; ")?;
        }
        let knob = knobs::GGML.name;
        write!(
            f,
            "build its libraries with `providers/ggml/build-backends.sh FOLDER` and name the folder \
             by option `folder` or `{knob}`"
        )
    }
}

static LOADED: Mutex<Option<&'static Library>> = Mutex::new(None);

/// The library of the folder that the user names, else of the first that can be used.
pub(crate) fn library(option: Option<&str>) -> Result<&'static Library, NotFound> {
    let named = match (option, knobs::GGML.text()) {
        (Some(folder), _) => Some(("option `folder`".to_owned(), PathBuf::from(folder))),
        (None, Some(folder)) => Some((format!("`{}`", knobs::GGML.name), folder.into())),
        (None, None) => None,
    };
    let mut tries = NotFound::default();
    if let Some((place, folder)) = named {
        let place = format!("{place}, `{}`", folder.display());
        return tries.load(place, &folder).ok_or(tries);
    }
    let own = own_folder();
    for folder in own.iter().flat_map(|own| [own.join("ggml"), own.clone()]) {
        if let Some(library) = tries.load(format!("`{}`", folder.display()), &folder) {
            return Ok(library);
        }
    }
    if tries.0.is_empty() {
        tries.0.push(("beside the provider".to_owned(), "its folder is not known".to_owned()));
    }
    Err(tries)
}

impl NotFound {
    /// Loads a folder, or notes why that failed.
    fn load(&mut self, place: String, folder: &Path) -> Option<&'static Library> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let other = match *loaded {
            Some(library) if library.folder == folder => return Some(library),
            Some(library) => Some(library.folder.clone()),
            None => strangers(&folder),
        };
        let library = match other {
            Some(other) => Err(LoadError::Other(other.display().to_string())),
            None => Library::load(&folder),
        };
        match library {
            Ok(library) => {
                let library: &'static Library = Box::leak(Box::new(library));
                *loaded = Some(library);
                Some(library)
            }
            Err(error) => {
                self.0.push((place, error.to_string()));
                None
            }
        }
    }
}

/// The folder of a ggml that somebody else has loaded into this process, as far as the system tells.
fn strangers(folder: &Path) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let other = |line: &str| {
        let path = Path::new(line.get(line.find('/')?..)?);
        let name = path.file_name().and_then(OsStr::to_str)?;
        let parent = path.parent()?;
        (name.starts_with("libggml-base.") && parent != folder).then(|| parent.to_owned())
    };
    maps.lines().find_map(other)
}

/// `Dl_info`.
#[repr(C)]
struct Place {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "asks the system's loader")]
fn own_folder() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    unsafe extern "C" {
        fn dladdr(address: *const c_void, place: *mut Place) -> c_int;
    }
    static HERE: u8 = 0;
    let null: *mut c_void = std::ptr::null_mut();
    let mut place = Place { file: null.cast(), base: null, symbol: null.cast(), address: null };
    // SAFETY: an address of this library, and a place to be written.
    let found = unsafe { dladdr((&raw const HERE).cast(), &raw mut place) };
    if found == 0 || place.file.is_null() {
        return None;
    }
    // SAFETY: the loader's own text, which lives as long as this library is loaded.
    let file = unsafe { CStr::from_ptr(place.file) };
    Path::new(OsStr::from_bytes(file.to_bytes())).canonicalize().ok()?.parent().map(Path::to_owned)
}

#[cfg(not(unix))]
fn own_folder() -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::{NotFound, own_folder};

    #[test]
    fn a_folder_without_libraries_is_told_with_the_cure() {
        let folder = own_folder().expect("a folder");
        let mut tries = NotFound::default();
        assert!(tries.load("x".to_owned(), &folder).is_none());
        let text = tries.to_string();
        assert!(text.contains("build-backends.sh"), "{text}");
    }
}
