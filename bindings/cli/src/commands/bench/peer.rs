//! ONNX Runtime beside ours: the same file on the same inputs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda::Value;
use serde_json::{Value as Json, json};

use super::python::{Package, Python};
use crate::failure::Failure;
use crate::{bundled, npy};

static ONNX_RUNTIME: Package = Package {
    name: "ONNX Runtime",
    install: "onnxruntime numpy",
    script: include_str!("onnxruntime.py"),
};

/// What is measured beside ours.
pub(super) struct Peer {
    process: Python,
    /// Holds the inputs; kept as long as the process may read them.
    _folder: Folder,
}

impl Peer {
    /// Starts it: the model is loaded and has run once.
    pub(super) fn start(
        python: &Path,
        model: &Path,
        threads: usize,
        values: &[(String, Value)],
    ) -> Result<Self, Failure> {
        let folder = Folder::new(threads)?;
        let model = folder.model(model)?;
        let inputs = folder.inputs(values)?;
        let arguments =
            [model.into_os_string(), threads.to_string().into(), inputs.to_string().into()];
        let process = Python::start(python, &ONNX_RUNTIME, arguments)?;
        Ok(Self { process, _folder: folder })
    }

    /// Its version.
    pub(super) fn version(&self) -> &str {
        &self.process.version
    }

    /// The times of as many runs, after one that is not counted.
    pub(super) fn turn(&mut self, runs: u32) -> Result<Vec<Duration>, Failure> {
        let times = self.process.times(&runs.to_string())?;
        if u32::try_from(times.len()) == Ok(runs) {
            return Ok(times);
        }
        Err(self.process.strange(&format!("{} of {runs} times", times.len())))
    }
}
/// A folder of this process that is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(threads: usize) -> Result<Self, Failure> {
        let name = format!("remuda-bench-{}-{threads}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(Failure::File { action: "write", path, source }),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        match std::fs::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(source) => Err(Failure::File { action: "write", path, source }),
        }
    }

    /// Where the model lies, which may be inside this program.
    fn model(&self, model: &Path) -> Result<PathBuf, Failure> {
        if bundled::is_named(model) {
            return self.write("model.onnx", bundled::MODEL);
        }
        Ok(model.to_owned())
    }

    /// One file for each input, as an object of names and paths.
    fn inputs(&self, values: &[(String, Value)]) -> Result<Json, Failure> {
        let mut files = serde_json::Map::new();
        for (at, (name, value)) in values.iter().enumerate() {
            let tensor = match value {
                Value::Tensor(tensor) if npy::is_exact(tensor.dtype()) => tensor,
                other => return Err(not_handed_over(name, other)),
            };
            let broken = |source| Failure::Npy { action: "write", path: name.into(), source };
            let bytes = npy::write(tensor).map_err(broken)?;
            let path = self.write(&format!("{at}.npy"), &bytes)?;
            files.insert(name.clone(), json!(path.to_string_lossy()));
        }
        Ok(Json::Object(files))
    }
}

fn not_handed_over(name: &str, value: &Value) -> Failure {
    let kind = match value {
        Value::Tensor(tensor) => tensor.dtype().to_string(),
        _ => "no tensor".to_owned(),
    };
    Failure::usage(format!(
        "input `{name}` is {kind}, which cannot be handed to ONNX Runtime through a file of numpy"
    ))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
