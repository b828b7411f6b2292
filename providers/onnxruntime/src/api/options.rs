//! The environment of a library and the options of its sessions.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort_sys::{
    GraphOptimizationLevel, OrtEnv, OrtLoggingLevel, OrtSessionOptions, OrtThreadingOptions,
};

use super::{Api, Handle, OrtError};

/// What sessions of one library share: its threads. A library has one at a time, which goes with the last
/// that uses it; those that come meanwhile get the one that is there, whatever its number of threads.
#[derive(Default)]
pub(crate) struct Environments(Mutex<Option<Shared>>);

struct Shared {
    handle: Handle<OrtEnv>,
    threads: usize,
    users: usize,
}

/// A use of what sessions share. Sessions with another budget of threads have threads of their own.
pub(crate) struct Environment {
    pub(super) raw: *mut OrtEnv,
    /// Threads that sessions share, the caller's included.
    threads: usize,
    of: &'static Environments,
}

// SAFETY: the environment may be used from any thread.
unsafe impl Send for Environment {}
// SAFETY: as above.
unsafe impl Sync for Environment {}

impl Environments {
    fn lock(&self) -> MutexGuard<'_, Option<Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment of a library, made if there is none.
    pub(crate) fn get(&'static self, api: &Api, threads: usize) -> Result<Environment, OrtError> {
        let mut shared = self.lock();
        let known = match shared.take() {
            Some(known) => known,
            None => Shared { handle: api.environment(threads)?, threads, users: 0 },
        };
        let known = shared.insert(Shared { users: known.users + 1, ..known });
        Ok(Environment { raw: known.handle.raw, threads: known.threads, of: self })
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // Released under the lock: the library cannot have two at once.
        let mut shared = self.of.lock();
        if let Some(known) = &mut *shared {
            known.users -= 1;
            if known.users == 0 {
                *shared = None;
            }
        }
    }
}

/// How an execution provider is added to a session's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Append {
    /// It is always there.
    Builtin,
    /// By name, the way of most.
    ByName(&'static str),
    /// CUDA's own way.
    Cuda,
    /// TensorRT's own way.
    TensorRt,
}

/// How a session is made.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    /// The execution provider.
    pub(crate) append: Append,
    /// Its options.
    pub(crate) options: Vec<(String, String)>,
    /// Threads that one run may keep busy.
    pub(crate) threads: usize,
    /// Whether the session only answers whether it can be made: nothing is optimised or packed.
    pub(crate) probe: bool,
}

unsafe extern "system" fn discard(
    _param: *mut c_void,
    _severity: OrtLoggingLevel,
    _category: *const c_char,
    _id: *const c_char,
    _location: *const c_char,
    _message: *const c_char,
) {
}

fn count(threads: usize) -> c_int {
    c_int::try_from(threads).unwrap_or(c_int::MAX)
}

fn text(value: &str) -> Result<CString, OrtError> {
    CString::new(value)
        .map_err(|_| OrtError { code: 2, text: format!("option `{value}` holds a zero") })
}

impl Api {
    /// An environment. The library's log lines are dropped: what matters comes as an error.
    fn environment(&self, threads: usize) -> Result<Handle<OrtEnv>, OrtError> {
        let raw = self.raw;
        let pool: Handle<OrtThreadingOptions> = self.make(raw.ReleaseThreadingOptions, |out| {
            // SAFETY: a place to be written.
            unsafe { (raw.CreateThreadingOptions)(out) }
        })?;
        // SAFETY: the options live.
        self.check(unsafe { (raw.SetGlobalIntraOpNumThreads)(pool.raw, count(threads)) })?;
        // SAFETY: the options live.
        self.check(unsafe { (raw.SetGlobalInterOpNumThreads)(pool.raw, 1) })?;
        self.make(raw.ReleaseEnv, |out| {
            // SAFETY: the options live, the name is static, the log function holds nothing.
            unsafe {
                (raw.CreateEnvWithCustomLoggerAndGlobalThreadPools)(
                    discard,
                    std::ptr::null_mut(),
                    OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR,
                    c"remuda".as_ptr(),
                    pool.raw,
                    out,
                )
            }
        })
    }

    /// Options of a session.
    pub(super) fn session_options(
        &self,
        environment: &Environment,
        settings: &SessionSettings,
    ) -> Result<Handle<OrtSessionOptions>, OrtError> {
        let raw = self.raw;
        let options: Handle<OrtSessionOptions> = self.make(raw.ReleaseSessionOptions, |out| {
            // SAFETY: a place to be written.
            unsafe { (raw.CreateSessionOptions)(out) }
        })?;
        let level = if settings.probe {
            GraphOptimizationLevel::ORT_DISABLE_ALL
        } else {
            GraphOptimizationLevel::ORT_ENABLE_ALL
        };
        // SAFETY: the options live.
        self.check(unsafe { (raw.SetSessionGraphOptimizationLevel)(options.raw, level) })?;
        if settings.probe {
            self.configure(&options, "session.disable_prepacking", "1")?;
        } else {
            // It would round float weights to integers of its own choice.
            let unwanted = "WeightBiasQuantization";
            self.configure(&options, "optimization.disable_specified_optimizers", unwanted)?;
        }
        if settings.probe || settings.threads != environment.threads {
            let threads = if settings.probe { 1 } else { settings.threads };
            // SAFETY: the options live.
            self.check(unsafe { (raw.SetIntraOpNumThreads)(options.raw, count(threads)) })?;
        } else {
            // SAFETY: the options live.
            self.check(unsafe { (raw.DisablePerSessionThreads)(options.raw) })?;
        }
        if settings.append != Append::Builtin {
            self.configure(&options, "session.disable_cpu_ep_fallback", "1")?;
            self.append(&options, settings)?;
        }
        Ok(options)
    }

    fn configure(
        &self,
        options: &Handle<OrtSessionOptions>,
        key: &str,
        value: &str,
    ) -> Result<(), OrtError> {
        let (key, value) = (text(key)?, text(value)?);
        // SAFETY: the options and texts live.
        self.check(unsafe {
            (self.raw.AddSessionConfigEntry)(options.raw, key.as_ptr(), value.as_ptr())
        })
    }

    fn append(
        &self,
        options: &Handle<OrtSessionOptions>,
        settings: &SessionSettings,
    ) -> Result<(), OrtError> {
        let raw = self.raw;
        let texts = |pick: fn(&(String, String)) -> &String| {
            settings.options.iter().map(|pair| text(pick(pair))).collect::<Result<Vec<_>, _>>()
        };
        let (keys, values) = (texts(|pair| &pair.0)?, texts(|pair| &pair.1)?);
        let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect();
        let (key_list, value_list): (Vec<_>, Vec<_>) = (pointers(&keys), pointers(&values));
        let (keys, values, len) = (key_list.as_ptr(), value_list.as_ptr(), key_list.len());
        match settings.append {
            Append::Builtin => Ok(()),
            Append::ByName(name) => {
                let name = text(name)?;
                // SAFETY: the options and texts live.
                self.check(unsafe {
                    (raw.SessionOptionsAppendExecutionProvider)(
                        options.raw,
                        name.as_ptr(),
                        keys,
                        values,
                        len,
                    )
                })
            }
            Append::Cuda => {
                let own = self.make(raw.ReleaseCUDAProviderOptions, |out| {
                    // SAFETY: a place to be written.
                    unsafe { (raw.CreateCUDAProviderOptions)(out) }
                })?;
                // SAFETY: options and texts live.
                self.check(unsafe { (raw.UpdateCUDAProviderOptions)(own.raw, keys, values, len) })?;
                // SAFETY: both options live.
                self.check(unsafe {
                    (raw.SessionOptionsAppendExecutionProvider_CUDA_V2)(options.raw, own.raw)
                })
            }
            Append::TensorRt => {
                let own = self.make(raw.ReleaseTensorRTProviderOptions, |out| {
                    // SAFETY: a place to be written.
                    unsafe { (raw.CreateTensorRTProviderOptions)(out) }
                })?;
                // SAFETY: options and texts live.
                self.check(unsafe {
                    (raw.UpdateTensorRTProviderOptions)(own.raw, keys, values, len)
                })?;
                // SAFETY: both options live.
                self.check(unsafe {
                    (raw.SessionOptionsAppendExecutionProvider_TensorRT_V2)(options.raw, own.raw)
                })
            }
        }
    }
}
