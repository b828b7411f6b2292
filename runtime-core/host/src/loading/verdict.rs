//! What came of looking at a file: in words, with the cure where there is one.

use std::path::PathBuf;

use serde::Serialize;

/// What came of looking at a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the message of each says what it and its fields are")]
pub enum Verdict {
    #[error("ready")]
    Ready,
    #[error("`plugins.toml` switches it off")]
    Disabled,
    #[error("it is the same file as `{}`, which comes first", of.display())]
    Twin { of: PathBuf },
    #[error("`{}` is another build of this provider and is used instead", by.display())]
    Outscored { by: PathBuf },
    #[error("this build says that it does not fit this machine")]
    Unfit,
    #[error("it cannot be read: {reason}")]
    Unreadable { reason: String },
    #[error("its package is broken: {reason}")]
    BrokenPackage { package: String, reason: String },
    #[error("it is not trusted: {reason}")]
    Untrusted { reason: String },
    #[error("its SHA-256 {sha256} is not in the list of those that may be loaded")]
    NotAllowed { sha256: String },
    #[error("its SHA-256 is {sha256}, expected {expected}")]
    WrongHash { sha256: String, expected: String },
    #[error("it is not a shared library: {reason}")]
    NotALibrary { reason: String },
    #[error("it is a library, but not a provider: it has no manifest")]
    NotAProvider,
    #[error("it was built for {got}, this is {expected}")]
    WrongTarget { got: String, expected: String },
    #[error("its manifest cannot be used: {reason}")]
    BadManifest { reason: String },
    #[error("it has a manifest, but does not export `{symbol}`")]
    NoEntry { symbol: String },
    #[error("it was built for contract version {got}, this host speaks {expected}")]
    WrongMajor { got: u32, expected: u32 },
    #[error(
        "its structs differ from those of contract version {major} (layout {got}, expected {expected})"
    )]
    WrongLayout { major: u32, got: String, expected: String },
    #[error("it asks for {}, which this host does not have", list(features))]
    Requires { features: Vec<String> },
    #[error("it was compiled for a CPU with {}, which this one lacks", list(features))]
    WrongCpu { features: Vec<String> },
    #[error("{}", missing_library(library, by.as_deref(), near))]
    MissingLibrary {
        library: String,
        /// The library that needs it, if it is not the provider itself.
        by: Option<String>,
        /// Other versions of it that are there.
        near: Vec<String>,
        cure: Option<String>,
    },
    #[error("{}", missing_driver(driver, wanted.as_deref(), found.as_deref()))]
    MissingDriver {
        driver: String,
        wanted: Option<String>,
        found: Option<String>,
        cure: Option<String>,
    },
    #[error("it conflicts with {with}{}", because(reason.as_deref()))]
    Conflict { with: String, reason: Option<String> },
    #[error("it is provider `{got}`, expected `{expected}`")]
    WrongName { got: String, expected: String },
    #[error("the system's loader refuses it: {reason}")]
    NotLoaded { reason: String },
    #[error("a trial process crashed while {stage}: {how}{}", last_words(words))]
    Crashed { stage: String, how: String, words: String },
    #[error("a trial process still did not answer after {seconds} s while {stage}; it was ended")]
    Hung { stage: String, seconds: String },
    #[error("while {stage}: {reason}")]
    Refused { stage: String, reason: String },
    #[error("it does not keep to the contract: {what}")]
    Lies { what: String },
    #[error("it has no device that can be used: {}", reasons.join("; "))]
    NoDevice { reasons: Vec<String> },
}

impl Verdict {
    /// Whether the provider may be used.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// Whether nothing is wrong, though the file may not be used.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Ready
                | Self::Disabled
                | Self::Twin { .. }
                | Self::Outscored { .. }
                | Self::Unfit
                | Self::NotAProvider
                | Self::NoDevice { .. }
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let cure = match self {
            Self::MissingLibrary { cure: Some(cure), .. }
            | Self::MissingDriver { cure: Some(cure), .. } => cure,
            Self::MissingLibrary { library, .. } => {
                return Some(format!(
                    "install the package that has `{library}`, or name its folder in `LD_LIBRARY_PATH`"
                ));
            }
            Self::MissingDriver { driver, found: None, .. } => {
                return Some(format!("install the driver `{driver}` and load it"));
            }
            Self::MissingDriver { driver, .. } => {
                return Some(format!("install a newer version of the driver `{driver}`"));
            }
            Self::BrokenPackage { package, .. } => {
                return Some(format!("install `{package}` again, or remove it"));
            }
            Self::NotAllowed { sha256 } => {
                return Some(format!(
                    "if you trust the file, add `{sha256}` to `allow` in `plugins.toml`"
                ));
            }
            Self::WrongHash { .. } => {
                "the file changed: reinstall it, or correct `sha256` in `plugins.toml`"
            }
            Self::WrongTarget { .. } | Self::WrongCpu { .. } => {
                "install the build of this provider for this machine"
            }
            Self::WrongMajor { got, expected } if got > expected => "update Remuda",
            Self::WrongMajor { .. } | Self::WrongLayout { .. } | Self::Requires { .. } => {
                "install the build of this provider that belongs to this version of Remuda"
            }
            Self::NotALibrary { .. } | Self::NoEntry { .. } | Self::BadManifest { .. } => {
                "reinstall it; if that does not help, tell its author"
            }
            Self::Conflict { .. } => {
                "switch one of the two off with `enabled = false` in `plugins.toml`"
            }
            Self::Crashed { .. } | Self::Hung { .. } | Self::Lies { .. } => {
                "look for a newer build of this provider or of the driver that it uses, and tell its author"
            }
            _ => return None,
        };
        Some(cure.to_owned())
    }
}

fn list(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

fn last_words(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; its last words: {words}") }
}

fn missing_library(library: &str, by: Option<&str>, near: &[String]) -> String {
    let by = by.map_or_else(String::new, |by| format!(" (through `{by}`)"));
    let near = if near.is_empty() { String::new() } else { format!("; there is {}", list(near)) };
    format!("it needs `{library}`{by}, which is not there{near}")
}

fn missing_driver(driver: &str, wanted: Option<&str>, found: Option<&str>) -> String {
    match (wanted, found) {
        (Some(wanted), Some(found)) => {
            format!("it needs the driver `{driver}` in version {wanted} or newer, this is {found}")
        }
        _ => format!("it needs the driver `{driver}`, which is not loaded"),
    }
}
