//! Another runtime beside ours: a Python process that runs the same file.
//!
//! A process of its own keeps its threads and memory apart; it is told when to run, so that the two
//! take turns and a change of the machine's mood hits both.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use crate::failure::Failure;

/// A runtime for Python.
pub(super) struct Package {
    /// What people call it.
    pub(super) name: &'static str,
    /// What `pip` installs.
    pub(super) install: &'static str,
    /// The program that answers orders.
    pub(super) script: &'static str,
}

/// A process that answers every line with a line of JSON.
pub(super) struct Python {
    /// The version of the runtime.
    pub(super) version: String,
    /// What it says of how it was built; nothing where it has no such words.
    pub(super) system: String,
    package: &'static Package,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it; it is ready when this returns.
    pub(super) fn start<A: AsRef<OsStr>>(
        interpreter: &Path,
        package: &'static Package,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, Failure> {
        let mut child = Command::new(interpreter)
            .args(["-c", package.script])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| package.no_python(interpreter, &error.to_string()))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(package.no_python(interpreter, "its standard streams are missing"));
        };
        let answers = BufReader::new(answers);
        let (version, system) = (String::new(), String::new());
        let mut python = Self { version, system, package, child, orders, answers };
        let first = python.answer()?;
        let text = |key: &str| first.get(key).and_then(Json::as_str).map(str::to_owned);
        if let Some(reason) = text("missing") {
            return Err(package.not_installed(interpreter, &reason));
        }
        if let Some(reason) = text("error") {
            let message = format!("{} cannot run the model: {reason}", package.name);
            return Err(Failure::Peer { message, hint: None });
        }
        python.version = text("version").unwrap_or_default();
        python.system = text("system").unwrap_or_default();
        Ok(python)
    }

    /// The times that it tells after an order.
    pub(super) fn times(&mut self, order: &str) -> Result<Vec<Duration>, Failure> {
        // An answer is missing if the order cannot be written, and says the rest.
        let _ = writeln!(self.orders, "{order}").and_then(|()| self.orders.flush());
        let answer = self.answer()?;
        let seconds = answer.get("seconds").and_then(Json::as_array);
        let time = |second: &Json| Duration::try_from_secs_f64(second.as_f64()?).ok();
        let times = seconds.and_then(|list| list.iter().map(time).collect());
        times.ok_or_else(|| self.strange(&answer.to_string()))
    }

    /// What to say of an answer that makes no sense.
    pub(super) fn strange(&self, answer: &str) -> Failure {
        let name = self.package.name;
        let message = format!("expected times from the process of {name}, got `{}`", answer.trim());
        Failure::Peer { message, hint: None }
    }

    fn answer(&mut self) -> Result<Json, Failure> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(1..) => serde_json::from_str(&line).map_err(|_| self.strange(&line)),
            _ => Err(Failure::Peer {
                message: format!("the process of {} ended without an answer", self.package.name),
                hint: None,
            }),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Package {
    /// The first of what is installed: the package itself.
    fn package(&self) -> &str {
        self.install.split(' ').next().unwrap_or_default()
    }

    fn no_python(&self, interpreter: &Path, reason: &str) -> Failure {
        let package = self.package();
        Failure::Peer {
            message: format!("cannot start `{}`: {reason}", interpreter.display()),
            hint: Some(format!("`--python PATH` names the interpreter that has `{package}`")),
        }
    }

    fn not_installed(&self, interpreter: &Path, reason: &str) -> Failure {
        let (python, install) = (interpreter.display(), self.install);
        Failure::Peer {
            message: format!("{} is not installed for `{python}`: {reason}", self.name),
            hint: Some(format!(
                "`{python} -m pip install {install}`, or name another interpreter with `--python PATH`"
            )),
        }
    }
}
