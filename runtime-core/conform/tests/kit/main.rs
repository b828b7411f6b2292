//! The kit on providers that keep to the contract, and on ones that lie: each lie is found by name.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod good;
mod lies;
mod streams;
mod workers;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use remuda_conform::{BuiltIn, Kit, Outcome, Report, Subject};
use remuda_host::process::{Job, Prober};

fn linked() -> [BuiltIn; 4] {
    [
        ("cpu", remuda_cpu::table()),
        ("reference", remuda_reference::table()),
        ("fake", remuda_fake::table()),
        ("null", remuda_null::table()),
    ]
}

/// Not a test: the worker process of the others.
#[test]
#[ignore = "the worker process of the other tests"]
fn worker_process() {
    let job = Job::receive().unwrap();
    let known = match job.name() {
        remuda_conform::JOB => remuda_conform::serve(&job, &linked()),
        _ => remuda_host::serve(&job),
    };
    assert!(known);
}

fn kit(subject: Subject) -> Kit {
    let arguments = ["worker_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let program = std::env::current_exe().unwrap();
    Kit {
        subject,
        options: Vec::new(),
        prober: Prober { program, arguments: arguments.map(Into::into).to_vec() },
        only: Vec::new(),
        skips: None,
        deadline: Duration::from_secs(120),
    }
}

fn built_in(name: &str) -> Kit {
    kit(Subject::BuiltIn(name.to_owned()))
}

fn with(mut kit: Kit, options: &[(&str, &str)], only: &[&str]) -> Kit {
    let text = |text: &&str| (*text).to_owned();
    kit.options = options.iter().map(|(key, value)| (text(key), text(value))).collect();
    kit.only = only.iter().map(text).collect();
    kit
}

fn report(kit: &Kit) -> Report {
    kit.run(&mut |_| ()).unwrap()
}

/// What came of the one case of a name.
fn outcome(report: &Report, name: &str) -> Outcome {
    let case = report.cases.iter().find(|case| case.name == name);
    case.unwrap().outcome.clone()
}

fn failed(report: &Report) -> Vec<String> {
    report.failures().map(|(case, message)| format!("{}: {message}", case.name)).collect()
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The provider in C with pieces of its source replaced.
fn example(folder: &Path, name: &str, changes: &[(&str, &str)]) -> Kit {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let mut source = std::fs::read_to_string(root.join("example-c/example.c")).unwrap();
    for (from, to) in changes {
        assert!(source.contains(from), "the example has no `{from}`");
        source = source.replacen(from, to, 1);
    }
    let (file, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&file, source).unwrap();
    let output = Command::new("gcc")
        .args(["-std=gnu99", "-O1", "-w", "-fPIC", "-shared", "-fvisibility=hidden", "-I"])
        .arg(root.join("abi/include"))
        .arg(&file)
        .arg("-o")
        .arg(&library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    kit(Subject::Library(library))
}
