//! Every environment variable the project reads, declared once: name, default, what it does.
//!
//! This module is the only reader of the environment. A value that does not parse is an error, not
//! a warning: a knob that is silently ignored is worse than none.

use std::fmt;

/// One declared environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    /// The variable, `REMUDA_…`.
    pub name: &'static str,
    /// What holds when it is unset, in words.
    pub default: &'static str,
    /// What it does, one sentence.
    pub doc: &'static str,
}

/// Where plans, speeds of devices, engines and packed weights are kept.
pub const CACHE: Knob = Knob {
    name: "REMUDA_CACHE",
    default: "`remuda` in the user's cache folder",
    doc: "The folder in which plans, speeds of devices, engines and packed weights are kept; `off` for none.",
};

/// The most that is kept.
pub const CACHE_LIMIT: Knob = Knob {
    name: "REMUDA_CACHE_LIMIT",
    default: "8 GiB",
    doc: "Bytes that everything kept in the cache may take.",
};

/// How many threads the CPU provider uses.
pub const THREADS: Knob = Knob {
    name: "REMUDA_THREADS",
    default: "the cores this process may use (affinity and cgroup quota)",
    doc: "Number of threads of the CPU provider.",
};

/// The highest instruction set that the CPU provider may choose.
pub const CPU_ISA: Knob = Knob {
    name: "REMUDA_CPU_ISA",
    default: "the best that the CPU has",
    doc: "Caps the CPU provider's instruction set: `baseline`, `avx2`, `avx512`, `neon`.",
};

/// Where `plugins.toml` is.
pub const PLUGINS: Knob = Knob {
    name: "REMUDA_PLUGINS",
    default: "`remuda/plugins.toml` in the user's configuration folder, else in `/etc`",
    doc: "The file that says which provider libraries may be loaded.",
};

/// More provider libraries.
pub const PROVIDERS: Knob = Knob {
    name: "REMUDA_PROVIDERS",
    default: "none",
    doc: "Provider libraries and folders of such, in a list like `PATH`, looked at after all others.",
};

/// All knobs, sorted by name.
pub const ALL: &[Knob] = &[CACHE, CACHE_LIMIT, CPU_ISA, GGML, PLUGINS, PROVIDERS, THREADS];

/// The user's own folder: a variable of the system, not of this project.
pub const HOME: Knob = Knob { name: "HOME", default: "none", doc: "The user's own folder." };

/// The user's cache folder: a variable of the system, not of this project.
pub const CACHE_HOME: Knob = Knob {
    name: "XDG_CACHE_HOME",
    default: "`.cache` in the user's own folder",
    doc: "The user's cache folder.",
};

/// The user's configuration folder: a variable of the system, not of this project.
pub const CONFIG_HOME: Knob = Knob {
    name: "XDG_CONFIG_HOME",
    default: "`.config` in the user's own folder",
    doc: "The user's configuration folder.",
};

/// Folders that the system's loader searches first: a variable of the system, not of this project.
pub const LOADER_PATH: Knob = Knob {
    name: "LD_LIBRARY_PATH",
    default: "none",
    doc: "Folders in which shared libraries are looked for first.",
};

/// The folder of ggml's libraries.
pub const GGML: Knob = Knob {
    name: "REMUDA_GGML",
    default: "the folder of the provider's library",
    doc: "The folder of ggml's libraries that the provider `ggml` loads.",
};

/// The ONNX Runtime to load: the variable that programs over it share.
pub const ONNXRUNTIME: Knob = Knob {
    name: "ORT_DYLIB_PATH",
    default: "the installed Python package's, else the system's",
    doc: "The libonnxruntime that the provider `onnxruntime` loads.",
};

/// The active Python environment: a variable of Python's, not of this project.
pub const PYTHON_ENVIRONMENT: Knob = Knob {
    name: "VIRTUAL_ENV",
    default: "none",
    doc: "The folder of the active Python environment.",
};

/// A knob whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnobError {
    /// The variable.
    pub name: &'static str,
    /// What it holds.
    pub value: String,
    /// What it may hold.
    pub expected: &'static str,
}

impl fmt::Display for KnobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is `{}`, expected {}", self.name, self.value, self.expected)
    }
}

impl std::error::Error for KnobError {}

impl Knob {
    /// The raw value, if set and not empty.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn text(&self) -> Option<String> {
        std::env::var(self.name).ok().filter(|value| !value.is_empty())
    }

    /// The value as a positive count.
    ///
    /// # Errors
    /// When it is set to anything else.
    pub fn count(&self) -> Result<Option<usize>, KnobError> {
        let Some(value) = self.text() else { return Ok(None) };
        match value.parse() {
            Ok(count) if count > 0 => Ok(Some(count)),
            _ => Err(KnobError { name: self.name, value, expected: "a positive number" }),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn knobs_are_sorted_and_carry_the_prefix() {
        let names: Vec<_> = super::ALL.iter().map(|knob| knob.name).collect();
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| name.starts_with("REMUDA_")));
    }
}
