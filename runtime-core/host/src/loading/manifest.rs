//! The manifest of a provider: TOML in a section of the library's file.
//!
//! Keys that this version does not know are allowed, for authors who are ahead; what must not be
//! overlooked stands in `requires`.

use serde::{Deserialize, Serialize};

/// What a provider library says of itself before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Manifest {
    /// The contract's version, `major.minor`.
    pub abi: String,
    /// The hash of the contract's structs, in hexadecimal.
    pub layout: String,
    /// The provider's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it was built for: `x86_64-linux-gnu`.
    pub target: String,
    /// Instruction sets that the compiler used everywhere.
    #[serde(default)]
    pub cpu: Vec<String>,
    /// What it is, in a sentence.
    #[serde(default)]
    pub description: Option<String>,
    /// Abilities that a host must have to use it at all.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Libraries that it needs, also those that it opens itself.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Drivers of the system that it needs.
    #[serde(default)]
    pub drivers: Vec<Driver>,
    /// What it cannot live with in one process.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// State that all of a process shares and that it changes: `cuda-context`, `openmp`, `signals`, …
    #[serde(default)]
    pub process_wide_state: Vec<String>,
}

/// A library that a provider needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Need {
    /// Its name as loaders know it: `libcudnn.so.9`.
    pub library: String,
    /// What to do where it is missing.
    #[serde(default)]
    pub cure: Option<String>,
}

/// A driver that a provider needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Driver {
    /// The name of its kernel module: `nvidia`.
    pub name: String,
    /// Its oldest version that will do.
    #[serde(default)]
    pub at_least: Option<String>,
    /// What to do where it is missing or too old.
    #[serde(default)]
    pub cure: Option<String>,
}

/// What a provider cannot live with in one process: another provider, or a library.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Conflict {
    /// A provider's name.
    #[serde(default)]
    pub provider: Option<String>,
    /// The name of a library that is loaded already.
    #[serde(default)]
    pub library: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Manifest {
    /// Reads the bytes of the section.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let text =
            str::from_utf8(&bytes[..end]).map_err(|_| "it is not text (UTF-8)".to_owned())?;
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or("");
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The contract's version.
    #[must_use]
    pub fn abi_version(&self) -> Option<(u32, u32)> {
        let (major, minor) = self.abi.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    fn check(&self) -> Result<(), String> {
        if self.abi_version().is_none() {
            return Err(format!("`abi` is `{}`, expected a version like `1.0`", self.abi));
        }
        if u64::from_str_radix(&self.layout, 16).is_err() || self.layout.len() != 16 {
            return Err(format!("`layout` is `{}`, expected 16 hexadecimal digits", self.layout));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(letter) {
            return Err(format!(
                "`name` is `{}`, expected up to 64 letters, digits, `-`, `_` and `.`",
                self.name.escape_debug()
            ));
        }
        for conflict in &self.conflicts {
            if conflict.provider.is_some() == conflict.library.is_some() {
                return Err("a conflict names either a `provider` or a `library`".to_owned());
            }
        }
        Ok(())
    }
}
