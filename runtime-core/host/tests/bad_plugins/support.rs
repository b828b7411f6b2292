//! Building plugins and looking at them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use remuda_host::loading::{Config, Entry, Looked, Registry};
use remuda_host::process::Prober;

/// An empty folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad-plugins").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the C compiler.
pub(crate) fn gcc(arguments: &[&str], inputs: &[&Path], out: &Path) {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers/abi/include");
    let output = Command::new("gcc")
        .args(["-std=c99", "-O1", "-w", "-fPIC", "-shared", "-I"])
        .arg(include)
        .args(inputs)
        .args(arguments)
        .arg("-o")
        .arg(out)
        .output()
        .expect("gcc is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The plugin with pieces replaced: `("OPEN", "raise(SIGSEGV)")`.
pub(crate) fn plugin(folder: &Path, name: &str, pieces: &[(&str, &str)]) -> PathBuf {
    plugin_linked(folder, name, pieces, &[])
}

pub(crate) fn plugin_linked(
    folder: &Path,
    name: &str,
    pieces: &[(&str, &str)],
    more: &[&str],
) -> PathBuf {
    let out = folder.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_plugins/plugin.c");
    let defines: Vec<String> =
        pieces.iter().map(|(piece, code)| format!("-D{piece}={code}")).collect();
    let arguments: Vec<&str> =
        defines.iter().map(String::as_str).chain(more.iter().copied()).collect();
    gcc(&arguments, &[&source], &out);
    out
}

/// A configuration that lists these libraries and tries each in a process of its own: this very
/// program, asked for its one ignored test.
pub(crate) fn config(libraries: &[&Path]) -> Config {
    let entry =
        |library: &&Path| Entry { library: Some(library.to_path_buf()), ..Entry::default() };
    let arguments = ["trial_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    Config {
        providers: libraries.iter().map(entry).collect(),
        probe_deadline: Duration::from_secs(60),
        prober: Some(Prober {
            program: std::env::current_exe().unwrap(),
            arguments: arguments.map(Into::into).to_vec(),
        }),
        ..Config::default()
    }
}

/// What comes of one library.
pub(crate) fn look(library: &Path) -> Looked {
    Registry::discover(&config(&[library])).looked.remove(0)
}

/// What is said of one library.
pub(crate) fn told(library: &Path) -> String {
    look(library).verdict.to_string()
}
