//! The program as its users meet it: every help page and every error, word for word.
//!
//! Each case of `SNAPSHOTS` is a command line; what it prints is in `snapshots/`. After a change on
//! purpose, `REMUDA_BLESS=1 cargo test -p remuda-cli` writes the files anew, to be read in the diff.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/tiny_gguf.rs"]
mod tiny_gguf;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tiny_gguf::tiny_gguf;

const SNAPSHOTS: &[(&str, &[&str])] = &[
    ("start", &[]),
    ("version", &["--version"]),
    ("help", &["--help"]),
    ("help-run", &["run", "--help"]),
    ("help-show", &["show", "--help"]),
    ("help-tokenize", &["tokenize", "--help"]),
    ("help-perplexity", &["perplexity", "--help"]),
    ("help-embed", &["embed", "--help"]),
    ("help-plan", &["plan", "--help"]),
    ("help-bench", &["bench", "--help"]),
    ("help-ops", &["ops", "--help"]),
    ("help-doctor", &["doctor", "--help"]),
    ("help-cache", &["cache", "--help"]),
    ("help-cache-list", &["cache", "list", "--help"]),
    ("help-cache-clear", &["cache", "clear", "--help"]),
    ("help-providers", &["providers", "--help"]),
    ("help-devices", &["devices", "--help"]),
    ("help-conform", &["conform", "--help"]),
    ("help-completions", &["completions", "--help"]),
    ("error-conform-no-case", &["conform", "cpu", "--only", "ops/Ad/*"]),
    ("run-random-inputs", &["run", "digits", "--random-inputs", "batch=2", "--values", "0"]),
    ("show-digits", &["show", "digits"]),
    ("show-digits-graph", &["show", "digits", "--graph"]),
    ("show-digits-json", &["show", "digits", "--json"]),
    ("show-gguf", &["show", "tiny.gguf", "--tensors"]),
    ("show-gguf-json", &["show", "tiny.gguf", "--json"]),
    ("tokenize", &["tokenize", "-m", "tiny.gguf", "-p", "a ab\u{e4}</s>", "--show-count"]),
    (
        "tokenize-ids",
        &["tokenize", "-m", "tiny.gguf", "-p", "ab</s>", "--ids", "--no-parse-special"],
    ),
    ("error-no-tokenizer", &["tokenize", "-m", "cwd.onnx", "-p", "a"]),
    ("error-unknown-tokenizer", &["tokenize", "-m", "odd.gguf", "-p", "a"]),
    ("error-unknown-command", &["rum", "digits"]),
    ("error-unknown-flag", &["run", "digits", "--thread", "2"]),
    ("error-no-model", &["run"]),
    ("error-language-without-sizes", &["run", "tiny.gguf", "a"]),
    ("error-no-encoder", &["embed", "tiny.gguf", "a"]),
    ("error-unknown-sampler", &["run", "tiny.gguf", "a", "--samplers", "top_kk"]),
    ("error-sampling-out-of-range", &["run", "tiny.gguf", "a", "--top-p", "2"]),
    ("error-two-constraints", &["run", "tiny.gguf", "a", "--regex", "a", "--format", "json"]),
    (
        "error-two-grammars",
        &["run", "tiny.gguf", "a", "--lark", "start: \"a\"", "--grammar-file", "a.gbnf"],
    ),
    ("error-missing-file", &["run", "missing.onnx"]),
    ("error-empty-model", &["run", "empty.onnx"]),
    ("error-cut-off-model", &["show", "cut-off.onnx"]),
    ("error-not-a-model", &["run", "seven.npy"]),
    ("error-unknown-operator", &["run", "twirl.onnx"]),
    ("error-missing-input", &["run", "cwd.onnx"]),
    ("error-unknown-input", &["run", "digits", "-i", "imag=1"]),
    ("error-input-without-name", &["run", "digits", "-i", "@seven.npy"]),
    ("error-wrong-shape", &["run", "digits", "-i", "image=1,2,3"]),
    ("error-wrong-dtype", &["run", "digits", "-i", "image=@f64.npy"]),
    ("error-wrong-literal", &["run", "digits", "-i", "image=cat"]),
    ("error-ragged-literal", &["run", "digits", "-i", "image=[[1],[2,3]]"]),
    ("error-missing-input-file", &["run", "digits", "-i", "image=@none.npy"]),
    ("error-broken-npy", &["run", "digits", "-i", "image=@broken.npy"]),
    ("error-broken-pb", &["run", "digits", "-i", "image=@broken.pb"]),
    ("error-unknown-dimension", &["run", "digits", "--random-inputs", "bach=2"]),
    ("error-dimension-without-size", &["run", "digits", "--random-inputs", "batch"]),
    ("error-unknown-backend", &["run", "digits", "--backend", "cpi"]),
    ("error-absent-backend", &["run", "digits", "--backend", "cuda,cpu", "--fallback", "error"]),
    ("plan-node", &["plan", "digits", "--node", "logitz"]),
    ("plan-strictness", &["plan", "digits", "--fallback", "never"]),
    ("error-no-threads", &["run", "digits", "--threads", "0"]),
    ("error-unwritable-output", &["run", "digits", "--output", "cwd.onnx"]),
    ("error-no-python", &["bench", "digits", "--vs", "onnxruntime", "--python", "./none"]),
    ("error-no-onnxruntime", &["bench", "digits", "--vs", "onnxruntime", "--python", "./bare.sh"]),
    ("error-python-alone", &["bench", "digits", "--python", "python3"]),
    ("error-no-repetitions", &["bench", "digits", "-r", "0"]),
    ("error-pairs", &["bench", "digits", "-pg", "512"]),
    ("error-llama-cpp", &["bench", "digits", "--vs", "llama.cpp"]),
];

/// A folder with the files that the cases name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = std::fs::read(assets.join("assets/digits.onnx")).unwrap();
    let seven = std::fs::read(assets.join("assets/seven.npy")).unwrap();
    let proto = std::fs::read(assets.join("tests/data/seven.pb")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let twirl = std::fs::read(assets.join("tests/data/twirl.onnx")).unwrap();
    write("twirl.onnx", &twirl);
    write("cwd.onnx", &model);
    write("cut-off.onnx", &model[..model.len() / 2]);
    write("empty.onnx", &[]);
    write("seven.npy", &seven);
    write("broken.npy", &seven[..100]);
    write("seven.pb", &proto);
    write("broken.pb", &proto[..proto.len() - 9]);
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 8, 8), }\n";
    let mut wide = b"\x93NUMPY\x01\x00".to_vec();
    wide.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    wide.extend(header.as_bytes());
    wide.extend([0; 512]);
    write("f64.npy", &wide);
    program(&folder, "bare.sh", "echo '{\"missing\": \"No module named onnxruntime\"}'");
    write("tiny.gguf", &tiny_gguf("llama"));
    write("odd.gguf", &tiny_gguf("lama"));
    folder
}

/// A shell script that can be started.
fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn remuda(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_remuda")).args(arguments).current_dir(folder).output().unwrap()
}

fn transcript(folder: &Path, arguments: &[&str]) -> String {
    let output = remuda(folder, arguments);
    let mut text = format!("$ remuda {}\n", arguments.join(" "));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let part = String::from_utf8(bytes.clone()).unwrap();
        if !part.is_empty() {
            write!(text, "--- {name}\n{part}").unwrap();
        }
    }
    writeln!(text, "--- exit {}", output.status.code().unwrap()).unwrap();
    text
}

#[test]
fn every_snapshot_is_as_committed() {
    let folder = folder("snapshots");
    let bless = std::env::var_os("REMUDA_BLESS").is_some();
    let mut wrong = String::new();
    for (name, arguments) in SNAPSHOTS {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
        let got = transcript(&folder, arguments);
        if bless {
            std::fs::write(&path, &got).unwrap();
        }
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        if got != want {
            write!(wrong, "\n{name}, expected:\n{want}\ngot:\n{got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_file_of_snapshots_has_its_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(SNAPSHOTS.iter().any(|(known, _)| *known == name), "no case prints `{name}`");
    }
}

fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = remuda(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn outputs_are_json_where_it_is_asked_for() {
    let folder = folder("json");
    let ran = json(&folder, &["run", "digits", "--json", "--profile", "trace.json"]);
    assert_eq!(ran["outputs"][0]["name"], "name");
    assert_eq!(ran["outputs"][0]["values"][0], "seven");
    assert_eq!(ran["outputs"][1]["shape"], serde_json::json!([1, 10]));
    assert!(ran["time_ms"].as_f64().unwrap() > 0.0);
    let trace: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("trace.json")).unwrap()).unwrap();
    assert!(!trace["traceEvents"].as_array().unwrap().is_empty());
}

#[test]
fn plans_of_language_models_tell_both_sorts_of_steps() {
    let folder = folder("plan-language");
    let plan = json(&folder, &["plan", "demo", "--json", "--measure", "1"]);
    let of = |class: usize, key: &str| plan["classes"][class][key].clone();
    assert_eq!((of(0, "name"), of(1, "name")), ("decode".into(), "prefill".into()));
    assert!(of(0, "predicted_ns").as_u64() < of(1, "predicted_ns").as_u64());
    assert!(of(0, "measured_ms").as_f64() > Some(0.0) && of(1, "measured_ms").as_f64() > Some(0.0));
    assert_eq!(plan["parts"].as_array().unwrap().len(), 2);
    let text = remuda(&folder, &["plan", "demo"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("decode (counts 128 times)") && text.contains("prefill"), "{text}");
}

#[test]
fn plans_are_kept_compared_and_asked_about_one_node() {
    let folder = folder("plan-diff");
    for (file, more) in [("new.json", &[][..]), ("old.json", &["--without-rewrite", "all"])] {
        let saved = remuda(&folder, &[&["plan", "digits", "--save", file], more].concat());
        assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    }
    let same = json(&folder, &["plan", "diff", "new.json", "new.json", "--json"]);
    assert_eq!((&same["same"], &same["moved"]), (&true.into(), &serde_json::json!([])));
    let told = remuda(&folder, &["plan", "diff", "old.json", "new.json"]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!((told.status.code(), text.contains(" is gone\n")), (Some(1), true), "{text}");
    let told = remuda(&folder, &["plan", "diff", "old.json", "new.json", "--json"]);
    let diff: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((told.status.code(), &diff["same"]), (Some(1), &false.into()));
    assert!(!diff["removed"].as_array().unwrap().is_empty(), "{diff}");

    let plan = json(&folder, &["plan", "digits", "--json"]);
    let name = plan["parts"][0]["nodes"][0].as_str().unwrap();
    let node = json(&folder, &["plan", "digits", "--node", name, "--json"]);
    assert_eq!(node["node"], name);
    assert_eq!(
        (&node["classes"][0]["backend"], &node["classes"][0]["part"]),
        (&"cpu".into(), &0.into())
    );
}

#[test]
fn what_is_kept_is_listed_and_thrown_away() {
    let folder = folder("cache");
    let cache = |place: &str, arguments: &[&str]| -> serde_json::Value {
        let mut program = Command::new(env!("CARGO_BIN_EXE_remuda"));
        program.args(arguments).env("REMUDA_CACHE", place).current_dir(&folder);
        serde_json::from_slice(&program.output().unwrap().stdout).unwrap()
    };
    let (kept, key) = (folder.join("kept"), "5e".repeat(32));
    std::fs::create_dir_all(kept.join("plan")).unwrap();
    std::fs::write(kept.join("plan").join(&key), "a plan").unwrap();
    let place = kept.to_str().unwrap();
    let listed = cache(place, &["cache", "list", "--json"]);
    assert_eq!(
        (&listed["entries"][0]["kind"], &listed["entries"][0]["key"]),
        (&"plan".into(), &key.into())
    );
    let cleared = serde_json::json!({ "entries": 1, "bytes": 6 });
    assert_eq!(cache(place, &["cache", "clear", "--json"]), cleared);
    assert_eq!(cache(place, &["cache", "list", "--json"])["entries"], serde_json::json!([]));
    assert_eq!(cache("off", &["cache", "list", "--json"])["folder"], serde_json::Value::Null);
}

/// `| head` leaves before all is printed; a full disk takes nothing.
#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_no_crash() {
    let folder = folder("pipes");
    let printed_to = |out: std::process::Stdio, arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_remuda"));
        let ended = program.args(arguments).current_dir(&folder).stdout(out).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let full =
        "error: cannot write the answer\n  caused by: No space left on device (os error 28)\n";
    let commands: [&[&str]; 4] =
        [&["ops"], &["show", "digits", "--json"], &["--help"], &["completions", "bash"]];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(printed_to(writer.into(), arguments), (Some(0), String::new()));
        let disk = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(printed_to(disk.into(), arguments), (Some(1), full.to_owned()));
    }
}

#[test]
fn the_bundled_model_reads_a_seven() {
    let folder = folder("seven");
    let arguments: [&[&str]; 3] = [
        &["run", "digits"],
        &["run", "cwd.onnx", "-i", "image=@seven.npy"],
        &["run", "digits", "--input", "image=@seven.pb", "-t", "1", "--backend", "cpu"],
    ];
    for arguments in arguments {
        let text = String::from_utf8(remuda(&folder, arguments).stdout).unwrap();
        assert_eq!(text.lines().next(), Some("name           string[1]   \"seven\""));
    }
}

#[test]
fn a_budget_for_no_device_is_told_of() {
    let folder = folder("budget");
    let plugins = "folders = []\n[budget]\n\"wgpu:vulkan\" = \"1 GiB\"\ncpu = \"1 GiB\"\n";
    std::fs::write(folder.join("plugins.toml"), plugins).unwrap();
    let told = |args: &[&str]| String::from_utf8(remuda(&folder, args).stderr).unwrap();
    let want = "warning: the budget of `wgpu:vulkan` limits nothing, the devices are: cpu\n";
    assert_eq!(told(&["run", "digits", "--plugins", "plugins.toml"]), want);
    assert_eq!(told(&["plan", "digits", "--plugins", "plugins.toml"]), want);
}

#[test]
fn backends_that_are_not_there_are_left_out_with_a_warning() {
    let folder = folder("absent");
    let ran = remuda(&folder, &["run", "digits", "--backend", "cuda,cpu"]);
    let (told, answer) = (String::from_utf8(ran.stderr).unwrap(), ran.stdout);
    assert_eq!(told, "warning: backend `cuda` is not available, only: auto, cpu\n");
    assert!(String::from_utf8(answer).unwrap().contains("\"seven\""));
    let required = remuda(&folder, &["run", "digits", "--require", "cuda"]);
    let told = String::from_utf8(required.stderr).unwrap();
    assert_eq!(
        (required.status.code(), told.contains("`cuda` is required and runs nothing")),
        (Some(1), true),
        "{told}"
    );
    let share = remuda(&folder, &["run", "digits", "--max-cpu-share", "7"]);
    let told = String::from_utf8(share.stderr).unwrap();
    assert_eq!(told, "error: `max_cpu_share` is 7, expected 0 to 1\n");
}

#[test]
fn answers_are_texts_of_a_lark_grammar() {
    let folder = folder("lark");
    let grammar = "start: WORD (\", \" WORD){2} \"!\"\nWORD: /[xyz]{3}/\n";
    std::fs::write(folder.join("words.lark"), grammar).unwrap();
    let ask = |seed: &str, constraint: [&str; 2]| {
        let asked = ["run", "demo", "A river is a", "-n", "40", "-s", seed];
        remuda(&folder, &[&asked[..], &constraint].concat())
    };
    for seed in ["1", "2"] {
        let said = ask(seed, ["--lark", grammar]).stdout;
        let text = String::from_utf8(said.clone()).unwrap();
        let words = text.trim().strip_suffix('!').map(|text| text.split(", ").collect::<Vec<_>>());
        let of_letters = |word: &&str| word.len() == 3 && word.chars().all(|c| "xyz".contains(c));
        assert!(words.is_some_and(|all| all.len() == 3 && all.iter().all(of_letters)), "{text}");
        assert_eq!(ask(seed, ["--lark-file", "words.lark"]).stdout, said);
    }
    let broken = ask("1", ["--lark", "start: word"]);
    let told = String::from_utf8(broken.stderr).unwrap();
    assert_eq!(broken.status.code(), Some(2));
    assert!(told.contains("error: Lark grammar: ") && told.contains("word"), "{told}");
}

#[test]
fn the_demo_model_goes_on_from_a_prompt() {
    let folder = folder("demo");
    let arguments = ["run", "demo", "A river is a", "-n", "8", "--temp", "0"];
    let answer = || remuda(&folder, &arguments);
    let first = answer();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(first.stdout.len() > 8, "{:?}", String::from_utf8_lossy(&first.stdout));
    assert_eq!(first.stdout, answer().stdout);
    let shown = String::from_utf8(remuda(&folder, &["show", "demo"]).stdout).unwrap();
    assert!(shown.contains("general.architecture") && shown.contains("q8_0"), "{shown}");
}

#[test]
fn an_answer_is_one_object_if_asked_for() {
    let folder = folder("object");
    let arguments = ["run", "demo", "A river is a", "-n", "8", "--temp", "0"];
    let plain = String::from_utf8(remuda(&folder, &arguments).stdout).unwrap();
    let object = json(&folder, &[&arguments[..], &["--json"]].concat());
    assert_eq!(object["text"], plain.trim_end_matches('\n'));
    assert_eq!(
        (&object["finish_reason"], &object["usage"]["completion_tokens"]),
        (&"length".into(), &8.into())
    );
    assert_eq!(object["failovers"], serde_json::json!([]));
}

#[test]
fn what_a_model_cannot_use_is_refused() {
    let folder = folder("useless");
    let told = |arguments: &[&str]| {
        let output = remuda(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (flag, value) in [("--input", "x=1"), ("--output", "out"), ("--profile", "trace.json")] {
        let text = told(&["run", "demo", "A river", flag, value]);
        let expected = format!("error: `{flag}` is not for language models, and `demo` is one\n");
        assert!(text.starts_with(&expected), "{text}");
    }
    let text = told(&["run", "digits", "what is it?"]);
    assert!(text.starts_with("error: `digits` takes inputs, not a prompt\n"), "{text}");
}

#[test]
fn outputs_are_written_to_files() {
    let folder = folder("outputs");
    assert!(remuda(&folder, &["run", "digits", "--output", "out"]).status.success());
    let array = std::fs::read(folder.join("out/probabilities.npy")).unwrap();
    assert!(array.starts_with(b"\x93NUMPY") && array.len() == 128 + 40);
    let texts = std::fs::read_to_string(folder.join("out/name.json")).unwrap();
    assert_eq!(texts, r#"{"type":"string","shape":[1],"elements":1,"values":["seven"]}"#);
}

#[test]
fn a_bench_measures_each_number_of_threads() {
    let rows = json(&folder("bench"), &["bench", "digits", "-t", "1,2", "-r", "3", "--json"]);
    let threads: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row["threads"].clone()).collect();
    assert_eq!(threads, [1, 2]);
    for row in rows.as_array().unwrap() {
        assert_eq!(row["runs"], 3);
        let time = |name: &str| row[name].as_f64().unwrap();
        assert!(0.0 < time("min_ms") && time("min_ms") <= time("median_ms"));
        assert!(time("median_ms") <= time("max_ms"));
    }
}

/// The interpreter is a script that answers as ONNX Runtime's process does, in fixed times;
/// `tests/python/test_bench_command.py` has the real one answer.
#[cfg(unix)]
#[test]
fn a_bench_takes_turns_with_another_runtime() {
    let folder = folder("rival");
    let script = r#"
echo "{\"version\": \"$4 threads\"}"
while read -r runs; do
  times=0.25
  for _ in $(seq 2 "$runs"); do times="$times, 0.25"; done
  echo "{\"seconds\": [$times]}"
done"#;
    program(&folder, "python.sh", script);
    let arguments = ["bench", "digits", "-t", "1,2", "-r", "7", "--vs", "onnxruntime"];
    let rows = json(&folder, &[&arguments[..], &["--python", "./python.sh", "--json"]].concat());
    for (row, version) in rows.as_array().unwrap().iter().zip(["1 threads", "2 threads"]) {
        let rival = &row["onnxruntime"];
        assert_eq!((&rival["version"], &rival["runs"]), (&version.into(), &7.into()));
        assert_eq!((&rival["median_ms"], &row["runs"]), (&250.0.into(), &7.into()));
        let ratio = row["median_ms"].as_f64().unwrap() / 250.0;
        assert!((row["ratio"].as_f64().unwrap() - ratio).abs() < 1e-12);
    }
    let shown = remuda(&folder, &[&arguments[..], &["--python", "./python.sh"]].concat()).stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(shown.lines().count(), 5, "{shown}");
}

#[test]
fn operators_are_listed_from_the_table() {
    let folder = folder("ops");
    let listed = json(&folder, &["ops", "--json"]);
    let operators = listed["operators"].as_array().unwrap();
    assert_eq!(operators.len(), remuda::operators::TABLE.len());
    let relu = operators.iter().find(|row| row["name"] == "Relu").unwrap();
    assert_eq!((&relu["domain"], &relu["since"]), (&"ai.onnx".into(), &1.into()));
    let text = String::from_utf8(remuda(&folder, &["ops"]).stdout).unwrap();
    assert!(text.lines().count() > operators.len());
}

#[test]
fn the_machine_describes_itself() {
    let folder = folder("machine");
    let doctor = json(&folder, &["doctor", "--json"]);
    assert_eq!(doctor["self_test"], "passed");
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(doctor["threads"], cores);
    assert_eq!(json(&folder, &["providers", "--json"])[0]["name"], "cpu");
    assert_eq!(json(&folder, &["devices", "--json"])[0]["kind"], "cpu");
    for command in ["doctor", "providers", "devices"] {
        assert!(String::from_utf8(remuda(&folder, &[command]).stdout).unwrap().contains("cpu"));
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    let folder = folder("completions");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = remuda(&folder, &["completions", shell]).stdout;
        assert!(String::from_utf8(script).unwrap().contains("random-inputs"), "{shell}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_run_with_130() {
    use std::io::Read;
    use std::process::Stdio;

    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    // The program says nothing while it runs: it has had time to start when the signal comes.
    let mut child = Command::new(env!("CARGO_BIN_EXE_remuda"))
        .args(["run", "endless.onnx", "-i", "x=1"])
        .current_dir(data)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "error: the run was cancelled\n");
}

#[test]
#[cfg(target_os = "linux")]
fn provider_libraries_are_tried_and_told_of() {
    let folder = folder("libraries");
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers/example-c/build.sh");
    let built = Command::new("bash").arg(build).arg(folder.join("libexample.so")).status().unwrap();
    assert!(built.success());
    let write = |text: &str| std::fs::write(folder.join("plugins.toml"), text).unwrap();
    let told = |arguments: &[&str]| {
        let output = remuda(&folder, &[arguments, &["--plugins", "plugins.toml"]].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };

    write("folders = []\n[[provider]]\nlibrary = \"libexample.so\"\n");
    let (code, text) = told(&["providers"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("example-c  1.0.0  libexample.so  usable"), "{text}");
    let (code, text) = told(&["devices"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("one core, plain C") && text.contains("usable (Add ran)"), "{text}");
    let (code, text) = told(&["doctor"]);
    assert_eq!((code, text.contains("libexample.so: ready")), (Some(0), true), "{text}");

    write("folders = []\n[[provider]]\nlibrary = \"absent.so\"\n");
    let (code, text) = told(&["doctor"]);
    let line = "absent.so: it cannot be read: No such file or directory (os error 2)";
    assert_eq!((code, text.contains(line)), (Some(1), true), "{text}");
    let (code, text) = told(&["doctor", "--json"]);
    assert_eq!((code, text.contains("\"code\": \"unreadable\"")), (Some(1), true), "{text}");

    write("folders = []\nisolation = \"process\"\n[[provider]]\nlibrary = \"libexample.so\"\n");
    let (code, text) = told(&["run", "digits", "--backend", "example-c,cpu"]);
    assert_eq!((code, text.contains("\"seven\"")), (Some(0), true), "{text}");

    let file = "folders = []\n[[provider]]\nlibrary = \"libexample.so\"\n[contract]\nmax_cpu_share = 0.0\n";
    write(file);
    let run = |more: &[&str]| {
        let command = ["run", "digits", "--plugins", "plugins.toml", "--backend", "example-c"];
        let output = remuda(&folder, &[&command, more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for more in [&[][..], &["--fallback", "allow"]] {
        let (code, text) = run(more);
        assert_eq!((code, text.contains("at most 0.0 % are allowed")), (Some(1), true), "{text}");
    }
    let (code, text) = run(&["--fallback", "warn"]);
    assert_eq!((code, text.contains("nodes fall back to the CPU")), (Some(0), true), "{text}");

    without_device(&folder);
    write("folders = []\n[[provider]]\nlibrary = \"idle.so\"\n");
    let reason = "it has no device that can be used: cpu `one core, plain C`: the card fell out";
    let (code, text) = told(&["doctor"]);
    assert_eq!((code, text.contains(&format!("idle.so: {reason}"))), (Some(1), true), "{text}");
    let (code, text) = told(&["providers"]);
    assert!(text.contains("example-c  1.0.0  idle.so   not used"), "{text}");
    assert_eq!((code, text.contains(&format!("idle.so: {reason}"))), (Some(0), true), "{text}");

    write("foldrs = []\n");
    let output = remuda(&folder, &["providers", "--plugins", "plugins.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: `plugins.toml`, line 1: unknown key `foldrs`, did you mean `folders`?\n"
    );
}

/// The provider in C with a device that cannot be used.
#[cfg(target_os = "linux")]
fn without_device(folder: &Path) {
    let providers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let source = std::fs::read_to_string(providers.join("example-c/example.c")).unwrap();
    let broken = ".usable = 0, .reason = REMUDA_TEXT(\"the card fell out\")";
    std::fs::write(folder.join("idle.c"), source.replace(".usable = 1", broken)).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c99", "-w", "-fPIC", "-shared", "idle.c", "-o", "idle.so", "-I"]);
    let built = gcc.arg(providers.join("abi/include")).current_dir(folder).status().unwrap();
    assert!(built.success());
}

#[test]
#[cfg(target_os = "linux")]
fn providers_are_tried_against_the_contract() {
    let folder = folder("conform");
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers/example-c/build.sh");
    let built = Command::new("bash").arg(build).arg(folder.join("libexample.so")).status().unwrap();
    assert!(built.success());
    let only = ["--only", "abi/*", "--only", "ops/Add/*", "--only", "runs/*"];
    let report = json(&folder, &[&["conform", "libexample.so", "--json"], &only[..]].concat());
    assert_eq!((&report["provider"], &report["conforms"]), (&"example-c".into(), &true.into()));
    let of_cpu = json(&folder, &["conform", "cpu", "--only", "ops/Relu/*", "--json"]);
    assert!(of_cpu["cases"].as_array().unwrap().iter().all(|case| case["outcome"] == "passed"));
    let absent = remuda(&folder, &["conform", "./absent.so"]);
    assert_eq!(absent.status.code(), Some(1));
    let text = String::from_utf8(absent.stdout).unwrap();
    assert!(text.contains("failed: library/accepted\n  it cannot be read: No such file"), "{text}");
}
