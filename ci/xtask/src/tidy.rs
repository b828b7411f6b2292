//! The shape of the repository: who may depend on whom, what lies at the root, how large files are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::metadata::{self, text};

/// What may lie at the root, and nothing else.
const ROOT: &[&str] = &[
    ".cargo",
    ".ci",
    ".git",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "_typos.toml",
    "bindings",
    "ci",
    "clippy.toml",
    "docs",
    "plugins.toml",
    "providers",
    "runtime-core",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "tests",
];

/// A source file of more lines is more than one thing, unless it is a generated table.
const MAX_LINES: usize = 800;
/// A file in the repository of more bytes is data that a script should make.
const MAX_BYTES: u64 = 400_000;
/// The trained toy model takes hours to make; its users get it with the program.
const DEMO: (&str, u64) = ("runtime-core/demo/assets/demo.gguf", 8_000_000);

/// For each crate of the project those that it may depend on. An edge that is not here is a decision:
/// add it here with the change that needs it.
const EDGES: &[(&str, &[&str])] = &[
    ("remuda-base", &[]),
    ("remuda-abi", &[]),
    ("remuda-tensor", &["remuda-base"]),
    ("remuda-mapped", &["remuda-tensor"]),
    ("remuda-ir", &["remuda-base", "remuda-tensor"]),
    ("remuda-ops", &["remuda-base", "remuda-ir", "remuda-tensor"]),
    ("remuda-passes", &["remuda-base", "remuda-ir", "remuda-ops", "remuda-tensor"]),
    ("remuda-plan", &["remuda-base"]),
    ("remuda-gguf", &["remuda-base", "remuda-tensor"]),
    ("remuda-text", &["remuda-base", "remuda-gguf"]),
    ("remuda-chat", &["remuda-base"]),
    ("remuda-sample", &["remuda-base"]),
    ("remuda-grammar", &["remuda-base", "remuda-text"]),
    ("remuda-onnx", &["remuda-base", "remuda-ir", "remuda-mapped", "remuda-ops", "remuda-tensor"]),
    (
        "remuda-models",
        &[
            "remuda-base",
            "remuda-gguf",
            "remuda-ir",
            "remuda-mapped",
            "remuda-ops",
            "remuda-tensor",
        ],
    ),
    (
        "remuda-engine",
        &[
            "remuda-base",
            "remuda-exec",
            "remuda-host",
            "remuda-ir",
            "remuda-models",
            "remuda-tensor",
        ],
    ),
    ("remuda-bridge", &["remuda-abi", "remuda-base", "remuda-ir", "remuda-tensor"]),
    ("remuda-sdk", &["remuda-abi", "remuda-bridge", "remuda-ir", "remuda-tensor"]),
    (
        "remuda-host",
        &[
            "remuda-abi",
            "remuda-base",
            "remuda-bridge",
            "remuda-ir",
            "remuda-plan",
            "remuda-tensor",
        ],
    ),
    (
        "remuda-conform",
        &[
            "remuda-abi",
            "remuda-base",
            "remuda-bridge",
            "remuda-host",
            "remuda-ir",
            "remuda-ops",
            "remuda-tensor",
        ],
    ),
    (
        "remuda-isolate",
        &[
            "remuda-abi",
            "remuda-bridge",
            "remuda-host",
            "remuda-ir",
            "remuda-mapped",
            "remuda-ops",
            "remuda-sdk",
            "remuda-tensor",
        ],
    ),
    ("remuda-simd", &["remuda-base"]),
    ("remuda-kernels", &["remuda-base", "remuda-simd"]),
    (
        "remuda-cpu",
        &[
            "remuda-base",
            "remuda-cache",
            "remuda-ir",
            "remuda-kernels",
            "remuda-ops",
            "remuda-sdk",
            "remuda-simd",
            "remuda-tensor",
        ],
    ),
    (
        "remuda-fake",
        &["remuda-base", "remuda-cpu", "remuda-kernels", "remuda-ops", "remuda-sdk", "remuda-simd"],
    ),
    ("remuda-example", &["remuda-sdk"]),
    ("remuda-null", &["remuda-sdk"]),
    ("remuda-ggml", &["remuda-base", "remuda-ops", "remuda-sdk"]),
    ("remuda-onnxruntime", &["remuda-base", "remuda-ops", "remuda-sdk"]),
    ("remuda-wgpu", &["remuda-base", "remuda-ops", "remuda-sdk"]),
    ("remuda-reference", &["remuda-ops", "remuda-sdk"]),
    ("remuda-cache", &["remuda-base", "remuda-mapped", "remuda-tensor"]),
    (
        "remuda-exec",
        &[
            "remuda-base",
            "remuda-cache",
            "remuda-host",
            "remuda-ir",
            "remuda-plan",
            "remuda-tensor",
        ],
    ),
    (
        "remuda",
        &[
            "remuda-base",
            "remuda-cache",
            "remuda-chat",
            "remuda-conform",
            "remuda-cpu",
            "remuda-demo",
            "remuda-engine",
            "remuda-exec",
            "remuda-gguf",
            "remuda-grammar",
            "remuda-host",
            "remuda-ir",
            "remuda-isolate",
            "remuda-kernels",
            "remuda-mapped",
            "remuda-models",
            "remuda-onnx",
            "remuda-ops",
            "remuda-passes",
            "remuda-sample",
            "remuda-tensor",
            "remuda-text",
        ],
    ),
    ("remuda-demo", &[]),
    ("remuda-cli", &["remuda", "remuda-base"]),
    ("remuda-python", &["remuda"]),
    ("xtask", &["remuda", "remuda-abi", "remuda-base"]),
];

/// Dependencies that belong to few crates.
const RESERVED: &[(&str, &[&str])] = &[
    ("clap", &["remuda-cli"]),
    ("pyo3", &["remuda-python"]),
    ("anyhow", &["remuda-cli", "xtask"]),
];

/// Checks everything and lists every fault.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    root_listing(root, &mut faults)?;
    for package in metadata::packages(root, &["--no-deps"])? {
        edges(root, &package, &mut faults);
    }
    let mut files = Vec::new();
    for folder in ["runtime-core", "providers", "bindings", "ci", "tests", "docs"] {
        walk(&root.join(folder), &mut files)?;
    }
    for file in files {
        file_size(root, &file, &mut faults)?;
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{}", faults.join("\n"))
}

fn root_listing(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !ROOT.contains(&name.as_str()) && !is_ignored(root, &name)? {
            faults.push(format!("`{name}` does not belong at the root"));
        }
    }
    Ok(())
}

fn is_ignored(root: &Path, name: &str) -> Result<bool> {
    let ignored = fs::read_to_string(root.join(".gitignore"))?;
    Ok(ignored.lines().any(|line| line.trim_matches('/') == name))
}

/// What a crate is built from, for every target; its tests may use whatever they like.
fn edges(root: &Path, package: &Value, faults: &mut Vec<String>) {
    let manifest = Path::new(text(package, "manifest_path"));
    let place = manifest.strip_prefix(root).unwrap_or(manifest).display().to_string();
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    for dependency in dependencies.into_iter().flatten() {
        if text(dependency, "kind") != "dev" {
            edge(&place, text(package, "name"), text(dependency, "name"), faults);
        }
    }
}

fn edge(place: &str, package: &str, dependency: &str, faults: &mut Vec<String>) {
    if let Some((_, owners)) = RESERVED.iter().find(|(name, _)| *name == dependency)
        && !owners.contains(&package)
    {
        faults.push(format!("{place}: `{dependency}` belongs to {}", owners.join(", ")));
    }
    if dependency != "remuda" && !dependency.starts_with("remuda-") {
        return;
    }
    match EDGES.iter().find(|(name, _)| *name == package) {
        None => faults.push(format!(
            "{place}: `{package}` is not in the list of crates (ci/xtask/src/tidy.rs)"
        )),
        Some((_, allowed)) if !allowed.contains(&dependency) => {
            faults.push(format!("{place}: `{package}` may not depend on `{dependency}`"));
        }
        Some(_) => {}
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let built =
            matches!(name.as_str(), "target" | "__pycache__" | ".venv" | "corpus" | "artifacts")
                || name.starts_with('.');
        if path.is_dir() && !built {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn file_size(root: &Path, file: &Path, faults: &mut Vec<String>) -> Result<()> {
    let place = file.strip_prefix(root).unwrap_or(file).display().to_string();
    let bytes = fs::metadata(file)?.len();
    let is_built = place.ends_with(".so") || place.ends_with(".pyc");
    let most = if place == DEMO.0 { DEMO.1 } else { MAX_BYTES };
    if bytes > most && !is_built {
        faults.push(format!("{place}: {bytes} bytes, at most {most}"));
    }
    if file.extension().is_some_and(|extension| extension == "rs") {
        let source = fs::read_to_string(file)?;
        let lines = source.lines().count();
        if lines > MAX_LINES && !source.contains("@generated") {
            faults.push(format!("{place}: {lines} lines, at most {MAX_LINES}"));
        }
        if !place.contains("fuzz_targets")
            && !source.trim_start().starts_with("//!")
            && !is_test(&place)
        {
            faults.push(format!("{place}: starts without module documentation"));
        }
    }
    Ok(())
}

fn is_test(place: &str) -> bool {
    place.contains("/tests/")
        || place.ends_with("tests.rs")
        || place.contains("/examples/")
        || place.contains("/benches/")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    #[test]
    fn dependencies_of_one_target_count_and_those_of_tests_do_not() {
        let faults_of = |dependency| {
            let package = json!({
                "name": "remuda-plan",
                "manifest_path": "/root/runtime-core/plan/Cargo.toml",
                "dependencies": [{"name": "remuda-base", "kind": null}, dependency],
            });
            let mut faults = Vec::new();
            super::edges(Path::new("/root"), &package, &mut faults);
            faults
        };
        let there = json!({"name": "remuda-ir", "kind": null, "target": "cfg(unix)"});
        assert_eq!(
            faults_of(there),
            ["runtime-core/plan/Cargo.toml: `remuda-plan` may not depend on `remuda-ir`"]
        );
        let build = json!({"name": "anyhow", "kind": "build"});
        assert_eq!(
            faults_of(build),
            ["runtime-core/plan/Cargo.toml: `anyhow` belongs to remuda-cli, xtask"]
        );
        assert!(faults_of(json!({"name": "remuda-ir", "kind": "dev"})).is_empty());
    }
}
