//! Another runtime beside ours: a Python process that runs the same file on the same inputs.
//!
//! A process of its own keeps its threads and memory apart; it is told when to run, so that the two
//! take turns and a change of the machine's mood hits both.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use remuda::Value;
use serde_json::{Value as Json, json};

use crate::failure::Failure;
use crate::{bundled, npy};

const SCRIPT: &str = include_str!("onnxruntime.py");

/// What is measured beside ours.
pub(super) struct Peer {
    /// Its version.
    pub(super) version: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
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
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .arg(model)
            .args([threads.to_string(), inputs.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| no_python(python, &error.to_string()))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(no_python(python, "its standard streams are missing"));
        };
        let answers = BufReader::new(answers);
        let mut peer = Self { version: String::new(), child, orders, answers, _folder: folder };
        let first = peer.answer()?;
        let text = |key: &str| first.get(key).and_then(Json::as_str).map(str::to_owned);
        if let Some(reason) = text("missing") {
            return Err(not_installed(python, &reason));
        }
        if let Some(reason) = text("error") {
            let message = format!("ONNX Runtime cannot run the model: {reason}");
            return Err(Failure::Peer { message, hint: None });
        }
        peer.version = text("version").unwrap_or_default();
        Ok(peer)
    }

    /// The times of as many runs, after one that is not counted.
    pub(super) fn turn(&mut self, runs: u32) -> Result<Vec<Duration>, Failure> {
        // An answer is missing if the order cannot be written, and says the rest.
        let _ = writeln!(self.orders, "{runs}").and_then(|()| self.orders.flush());
        let answer = self.answer()?;
        let seconds = answer.get("seconds").and_then(Json::as_array);
        let times: Option<Vec<_>> = seconds.map(|list| {
            let valid = list.iter().filter_map(Json::as_f64);
            valid.filter_map(|time| Duration::try_from_secs_f64(time).ok()).collect()
        });
        times
            .filter(|times| u32::try_from(times.len()) == Ok(runs))
            .ok_or_else(|| strange(&answer.to_string()))
    }

    fn answer(&mut self) -> Result<Json, Failure> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(1..) => serde_json::from_str(&line).map_err(|_| strange(&line)),
            _ => Err(Failure::Peer {
                message: "the process of ONNX Runtime ended without an answer".to_owned(),
                hint: None,
            }),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn strange(answer: &str) -> Failure {
    let message =
        format!("expected times from the process of ONNX Runtime, got `{}`", answer.trim());
    Failure::Peer { message, hint: None }
}

fn no_python(python: &Path, reason: &str) -> Failure {
    Failure::Peer {
        message: format!("cannot start `{}`: {reason}", python.display()),
        hint: Some("`--python PATH` names the interpreter that has `onnxruntime`".to_owned()),
    }
}

fn not_installed(python: &Path, reason: &str) -> Failure {
    let python = python.display();
    Failure::Peer {
        message: format!("ONNX Runtime is not installed for `{python}`: {reason}"),
        hint: Some(format!(
            "`{python} -m pip install onnxruntime numpy`, or name another interpreter with `--python PATH`"
        )),
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
