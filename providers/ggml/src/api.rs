//! ggml's C interface, as far as it is used here, as handles that are safe to use.
//!
//! The functions are declared by hand and looked up when the library is loaded ([`Library::load`]); of
//! its structs only the head of a tensor is read, whose layout is tried out before anything else is done.
//! What ggml would end the process about is checked here and refused instead ([`Context`]).
#![expect(unsafe_code, reason = "calls into a foreign C library")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

mod context;
mod device;
mod elementwise;
mod graph;
mod images;
mod layout;
mod memory;
mod products;
mod raw;

pub(crate) use context::{Context, Kind, Refusal, T, refuse};
pub(crate) use device::{DeviceClass, Engine, RawDevice};
pub(crate) use elementwise::{Binary, Unary};
pub(crate) use graph::{Computed, Plan};
pub(crate) use images::{Pool, Window};
pub(crate) use memory::{Buffer, BufferKind};
pub(crate) use products::Rope;
use raw::{Functions, Head};

/// Versions whose functions are those that are declared here.
const KNOWN_VERSIONS: &[&str] = &["0.25."];

/// Why a folder's libraries cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// There is no such file.
    #[error("there is no `{0}`")]
    Missing(String),
    /// The system's loader refused.
    #[error("{0}")]
    Open(String),
    /// A function is not there.
    #[error("it has no function `{0}`: another version of ggml")]
    Function(&'static str),
    /// Another version.
    #[error("it is ggml {0}, expected one of: {1}")]
    Version(String, String),
    /// The head of a tensor is laid out otherwise.
    #[error("ggml {0} lays out its tensors otherwise than expected")]
    Layout(String),
    /// Another copy is in the process already.
    #[error("this process has loaded ggml from `{0}` already; use `isolation = \"process\"`")]
    Other(String),
}

/// Loaded libraries of ggml. They stay for as long as the process.
pub(crate) struct Library {
    raw: Functions,
    /// The version: `0.25.3`.
    pub(crate) version: String,
    /// Where they lie.
    pub(crate) folder: PathBuf,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ggml {} of `{}`", self.version, self.folder.display())
    }
}

/// File names of a library, the preferred one first.
fn names(stem: &str) -> Vec<String> {
    if cfg!(windows) {
        vec![format!("{stem}.dll")]
    } else if cfg!(target_vendor = "apple") {
        vec![format!("lib{stem}.dylib"), format!("lib{stem}.0.dylib")]
    } else {
        vec![format!("lib{stem}.so"), format!("lib{stem}.so.0")]
    }
}

/// The file of a library in a folder.
fn file_in(folder: &Path, stem: &str) -> Option<PathBuf> {
    names(stem).into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn open(path: &Path) -> Result<&'static libloading::Library, LoadError> {
    // SAFETY: the library's initialisers run; the user chose the folder, or it lies beside this provider.
    let library = unsafe { libloading::Library::new(path) };
    let library = library.map_err(|error| LoadError::Open(innermost(&error)))?;
    Ok(Box::leak(Box::new(library)))
}

impl Library {
    /// Loads the libraries of a folder and what backends lie beside them.
    pub(crate) fn load(folder: &Path) -> Result<Self, LoadError> {
        let missing = |stem: &str| LoadError::Missing(names(stem).swap_remove(0));
        let base = file_in(folder, "ggml-base").ok_or_else(|| missing("ggml-base"))?;
        let main = file_in(folder, "ggml").ok_or_else(|| missing("ggml"))?;
        let base = open(&base)?;
        if let Some(cpu) = file_in(folder, "ggml-cpu") {
            // A build without separate backends links it to the main library.
            open(&cpu)?;
        }
        let main = open(&main)?;
        let raw = Functions::find(&[base, main]).map_err(LoadError::Function)?;
        // SAFETY: a static text.
        let version = unsafe { read_text((raw.ggml_version)()) };
        if !KNOWN_VERSIONS.iter().any(|known| version.starts_with(known)) {
            let known: Vec<String> =
                KNOWN_VERSIONS.iter().map(|known| format!("{known}x")).collect();
            return Err(LoadError::Version(version, known.join(", ")));
        }
        let library = Self { raw, version, folder: folder.to_owned() };
        library.check_layout()?;
        library.register();
        Ok(library)
    }

    /// Makes a tensor and reads its head back.
    fn check_layout(&self) -> Result<(), LoadError> {
        let sizes: [i64; 4] = [3, 5, 7, 11];
        let params =
            raw::InitParams { bytes: 16 << 10, memory: std::ptr::null_mut(), no_alloc: true };
        // SAFETY: a context for its bookkeeping alone, released below.
        let context = unsafe { (self.raw.ggml_init)(params) };
        if context.is_null() {
            return Err(LoadError::Layout(self.version.clone()));
        }
        // SAFETY: 4 sizes, and room for one tensor.
        let tensor = unsafe { (self.raw.ggml_new_tensor)(context, 0, 4, sizes.as_ptr()) };
        // SAFETY: the tensor has at least as many readable bytes as its head.
        let head: Option<Head> = unsafe { tensor.as_ref() }.copied();
        // SAFETY: released once.
        unsafe { (self.raw.ggml_free)(context) };
        let expected = |head: &Head| {
            head.ty == 0 && head.buffer.is_null() && head.ne == sizes && head.nb == [4, 12, 60, 420]
        };
        match head {
            Some(head) if expected(&head) => Ok(()),
            _ => Err(LoadError::Layout(self.version.clone())),
        }
    }

    /// Lets ggml load the backends of the folder, unless it was built with them inside.
    fn register(&self) {
        // SAFETY: a function that lives as long as the process, and no context.
        unsafe { (self.raw.ggml_log_set)(Some(log_line), std::ptr::null_mut()) };
        // SAFETY: no arguments.
        let known = unsafe { (self.raw.ggml_backend_dev_count)() };
        let folder = CString::new(self.folder.to_string_lossy().as_bytes());
        if let (0, Ok(folder)) = (known, folder) {
            // SAFETY: a text that lives during the call.
            unsafe { (self.raw.ggml_backend_load_all_from_path)(folder.as_ptr()) };
        }
    }
}

/// Where ggml's log lines go: nowhere unless they are warnings or errors.
pub(crate) type LogSink = fn(error: bool, text: &str);

static SINK: std::sync::OnceLock<LogSink> = std::sync::OnceLock::new();

unsafe extern "C" fn log_line(level: c_int, text: *const c_char, _context: *mut c_void) {
    const WARN: c_int = 3;
    const ERROR: c_int = 4;
    if let (WARN | ERROR, Some(sink)) = (level, SINK.get()) {
        // SAFETY: ggml gives a text that lives during the call.
        sink(level == ERROR, unsafe { read_text(text) }.trim_end());
    }
}

/// A text of the library.
///
/// # Safety
/// `text` must be null or end in a zero and be readable.
unsafe fn read_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: handed on to the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// What the system's loader says, without the library's own wrapping.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Gives ggml's warnings and errors to `sink`; the first one stays.
pub(crate) fn log_to(sink: LogSink) {
    SINK.get_or_init(|| sink);
}
