//! `conformance.toml`: the cases that a provider's author skips, each with the reason.
//!
//! ```toml
//! provider = "npu"
//!
//! [[skip]]
//! case = "ops/Softmax/*"
//! reason = "rounds to bf16 inside, see issue 12"
//! ```

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The cases that are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skips {
    /// The provider that the file is about.
    pub(crate) provider: String,
    #[serde(default, rename = "skip")]
    pub(crate) skips: Vec<Skip>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Skip {
    /// The cases, by name; `*` stands for anything.
    pub(crate) case: String,
    /// Why.
    pub(crate) reason: String,
}

/// Why `conformance.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SkipError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what such a file is.
    #[error("`{}`: {message}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl Skips {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, holds an unknown key, or a skip has no reason.
    pub fn read(path: &Path) -> Result<Self, SkipError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SkipError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| SkipError::Form { path: path.to_owned(), message })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let skips: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        match skips.skips.iter().find(|skip| skip.reason.trim().is_empty()) {
            Some(skip) => Err(format!("the skip of `{}` gives no reason", skip.case)),
            None => Ok(skips),
        }
    }

    /// Why a case is skipped, if it is.
    pub(crate) fn reason(&self, case: &str) -> Option<&str> {
        let skip = self.skips.iter().find(|skip| matches(&skip.case, case));
        skip.map(|skip| skip.reason.as_str())
    }
}

/// Whether a name is of a pattern, in which `*` stands for any characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{Skips, matches};

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches("ops/Add/3", "ops/Add/3") && !matches("ops/Add/3", "ops/Add/31"));
        assert!(matches("ops/Add/*", "ops/Add/31") && !matches("ops/Add/*", "ops/And/1"));
        assert!(matches("*", "x") && matches("a*c*e", "abcde") && !matches("a*c*e", "abde"));
        assert!(!matches("ab*ba", "aba"));
    }

    #[test]
    fn a_skip_needs_a_reason() {
        let text = |reason: &str| {
            format!("provider = \"npu\"\n[[skip]]\ncase = \"ops/Add/*\"\nreason = \"{reason}\"\n")
        };
        let good = Skips::parse(&text("bf16 inside")).unwrap();
        assert_eq!(good.reason("ops/Add/7"), Some("bf16 inside"));
        assert_eq!(good.reason("ops/Sub/7"), None);
        assert_eq!(
            Skips::parse(&text(" ")).unwrap_err(),
            "the skip of `ops/Add/*` gives no reason"
        );
        let missing = Skips::parse("provider = \"npu\"\n[[skip]]\ncase = \"x\"\n").unwrap_err();
        assert_eq!(missing, "missing field `reason`");
        assert!(Skips::parse("provider = \"npu\"\nskp = 1\n").unwrap_err().contains("skp"));
    }
}
