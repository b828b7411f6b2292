//! What the project takes from others: licences that it may ship, one source, one version of each crate.
//!
//! `cargo deny` checks the same and more; it takes longer to build than everything here, so these
//! three rules are read from `cargo metadata` instead. Advisories need a database from the network and
//! are not looked up.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};

use crate::metadata;

/// What a binary with our licences may be made of.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Crates of which more than one version is built, and why.
const TWICE: &[(&str, &str)] = &[
    ("bit-set", "`naga` is a step ahead of `fancy-regex`"),
    ("bit-vec", "comes with `bit-set`"),
    ("getrandom", "`ahash` and `tokenizers` are one step behind the test tools"),
    ("hashbrown", "`gpu-allocator` is one step behind; on Windows only"),
    ("libloading", "`ash` is one step behind"),
    ("r-efi", "comes with `getrandom`"),
    ("rand", "`tokenizers` is one step behind the test tools"),
    ("rand_core", "comes with `rand`"),
    ("syn", "macros of pyo3 and others move to version 3 one by one; a build dependency only"),
    ("thiserror", "crates of the test tools still ask for version 1"),
    ("thiserror-impl", "comes with `thiserror`"),
];

/// Checks every crate of the lock file.
pub(crate) fn run(root: &Path) -> Result<()> {
    let packages = metadata::packages(root, &["--locked"])?;
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        let text = |key: &str| package.get(key).and_then(Value::as_str);
        let (name, version) = (text("name").unwrap_or("?"), text("version").unwrap_or("?"));
        versions.entry(name).or_default().push(version);
        let Some(source) = text("source") else { continue };
        if source != CRATES_IO {
            faults.push(format!("`{name}` comes from {source}, expected crates.io"));
        }
        if let Err(fault) = licence(text("license")) {
            faults.push(format!("`{name}` {version}: {fault}"));
        }
    }
    faults.extend(repeated(&versions, TWICE));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{} crates", packages.len());
    Ok(())
}

/// Whether a licence expression can be met with the allowed ones.
fn licence(expression: Option<&str>) -> Result<()> {
    let expression = expression.context("no licence is named")?;
    let parsed = Expression::parse_mode(expression, ParseMode::LAX)
        .with_context(|| format!("`{expression}` is no licence expression"))?;
    let allowed = LICENCES
        .iter()
        .map(|licence| Licensee::parse(licence).context(*licence))
        .collect::<Result<Vec<_>>>()?;
    if parsed.evaluate(|required| allowed.iter().any(|licence| licence.satisfies(required))) {
        return Ok(());
    }
    bail!("licence `{expression}`, expected one of {}", LICENCES.join(", "))
}

fn repeated(versions: &BTreeMap<&str, Vec<&str>>, known: &[(&str, &str)]) -> Vec<String> {
    let is_known = |name: &str| known.iter().any(|(other, _)| *other == name);
    let unexpected = versions
        .iter()
        .filter(|(name, versions)| versions.len() > 1 && !is_known(name))
        .map(|(name, versions)| format!("`{name}` is built twice: {}", versions.join(", ")));
    let outdated = known
        .iter()
        .filter(|(name, _)| versions.get(name).is_none_or(|versions| versions.len() < 2))
        .map(|(name, _)| {
            format!("`{name}` is built once: take it from the list of repeated crates")
        });
    unexpected.chain(outdated).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{licence, repeated};

    #[test]
    fn licences_are_expressions() {
        for good in ["MIT", "MIT/Apache-2.0", "(MIT OR GPL-3.0-only) AND Unicode-3.0"] {
            assert!(licence(Some(good)).is_ok(), "{good}");
        }
        for bad in [Some("GPL-3.0-only"), Some("MIT AND GPL-3.0-only"), Some("mine"), None] {
            assert!(licence(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_second_version_needs_a_reason() {
        let versions = BTreeMap::from([("a", vec!["1.0", "2.0"]), ("b", vec!["1.0"])]);
        assert_eq!(repeated(&versions, &[]), ["`a` is built twice: 1.0, 2.0"]);
        assert!(repeated(&versions, &[("a", "why")]).is_empty());
        assert_eq!(repeated(&versions, &[("a", "why"), ("b", "why")]).len(), 1);
    }
}
