//! The C interface of a loaded libonnxruntime, as safe handles.
//!
//! The tables and their layout are `ort-sys`'s; the library is opened at run time. Whatever is made is
//! owned by a [`Handle`] and released with the function that the library gives for it. Libraries are
//! never unloaded: threads of theirs may outlive every session.
#![expect(unsafe_code, reason = "calls into a foreign C library")]

use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use ort_sys::{OrtApi, OrtApiBase, OrtModelEditorApi, OrtStatusPtr};

mod editor;
mod error;
mod options;
mod session;
mod value;

pub(crate) use editor::{Port, Weight};
pub(crate) use error::{LoadError, OrtError};
pub(crate) use options::{Append, Environment, Environments, SessionSettings};
pub(crate) use session::{RunOptions, Session};
use value::InputValue;
pub(crate) use value::{dtype_number, is_known};

/// The functions that this crate calls are those of this version and all later ones.
const API_VERSION: u32 = 22;

/// A loaded libonnxruntime.
pub(crate) struct Api {
    raw: &'static OrtApi,
    editor: &'static OrtModelEditorApi,
    /// Its version, `1.31.1`.
    pub(crate) version: String,
    /// The file.
    pub(crate) path: PathBuf,
}

// SAFETY: the interface allows every function to be called from any thread.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ONNX Runtime {} of `{}`", self.version, self.path.display())
    }
}

/// Something that the library made; released when dropped.
pub(crate) struct Handle<T> {
    raw: *mut T,
    release: unsafe extern "system" fn(*mut T),
}

// SAFETY: what is kept over calls (sessions, values, options) may be used and released by any thread.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: the functions that are called through `&Handle` allow concurrent calls.
unsafe impl<T> Sync for Handle<T> {}

impl<T> Handle<T> {
    /// Gives the ownership away.
    fn into_raw(mut self) -> *mut T {
        std::mem::replace(&mut self.raw, null_mut())
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the handle owns what it points to, and this is its release function.
            unsafe { (self.release)(self.raw) }
        }
    }
}

impl Api {
    /// Loads a library: a path, or a name that the system's loader looks for.
    pub(crate) fn load(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: the library's initialisers run; the user chose it, or it lies where ONNX Runtime is
        // installed.
        let library = unsafe { libloading::Library::new(path) };
        let library = library.map_err(|error| LoadError::Open(innermost(&error)))?;
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        type GetBase = unsafe extern "system" fn() -> *const OrtApiBase;
        // SAFETY: the symbol has this type in every version of ONNX Runtime.
        let base = unsafe { library.get::<GetBase>(b"OrtGetApiBase\0") };
        let base = base.map_err(|_| LoadError::NoEntry)?;
        // SAFETY: a static table, or null.
        let base = unsafe { base().as_ref() }.ok_or(LoadError::NoEntry)?;
        // SAFETY: a static text.
        let version = unsafe { read_text((base.GetVersionString)()) };
        // SAFETY: a table of at least this version, or null.
        let raw = unsafe { (base.GetApi)(API_VERSION).as_ref() };
        let too_old = || LoadError::Version { version: version.clone(), needed: API_VERSION };
        let raw = raw.ok_or_else(too_old)?;
        // SAFETY: a static table; null in builds that leave it out.
        let editor = unsafe { (raw.GetModelEditorApi)().as_ref() }.ok_or(LoadError::NoEditor)?;
        Ok(Self { raw, editor, version, path: path.to_owned() })
    }

    /// What a call ended with.
    fn check(&self, status: OrtStatusPtr) -> Result<(), OrtError> {
        if status.0.is_null() {
            return Ok(());
        }
        let status = Handle { raw: status.0, release: self.raw.ReleaseStatus };
        // SAFETY: newer libraries have codes that the enumeration lacks, so it is read as a number,
        // which has its representation.
        let code = unsafe {
            let read: unsafe extern "system" fn(*const ort_sys::OrtStatus) -> i32 =
                std::mem::transmute(self.raw.GetErrorCode);
            read(status.raw)
        };
        // SAFETY: a text that lives as long as the status.
        let text = unsafe { read_text((self.raw.GetErrorMessage)(status.raw)) };
        Err(OrtError { code, text })
    }

    /// What a call that makes something made.
    fn make<T>(
        &self,
        release: unsafe extern "system" fn(*mut T),
        call: impl FnOnce(*mut *mut T) -> OrtStatusPtr,
    ) -> Result<Handle<T>, OrtError> {
        let mut raw = null_mut();
        self.check(call(&raw mut raw))?;
        if raw.is_null() {
            return Err(OrtError { code: 1, text: "the library made nothing".to_owned() });
        }
        Ok(Handle { raw, release })
    }

    /// The execution providers that the library was built with.
    pub(crate) fn providers(&self) -> Result<Vec<String>, OrtError> {
        let (mut names, mut count) = (null_mut(), 0);
        // SAFETY: two places to be written.
        self.check(unsafe { (self.raw.GetAvailableProviders)(&raw mut names, &raw mut count) })?;
        let listed = usize::try_from(count).unwrap_or(0);
        // SAFETY: the library says how many names there are.
        let read = (0..listed).map(|at| unsafe { read_text(*names.add(at)) }).collect();
        // SAFETY: the list is the library's and released once.
        self.check(unsafe { (self.raw.ReleaseAvailableProviders)(names, count) })?;
        Ok(read)
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
