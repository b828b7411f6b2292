//! Tokens equal to llama.cpp's own expected files, line by line.
//!
//! The vocabularies and the expected tokens ship in the source distribution of the `PyPI` package
//! `llama-cpp-python`, which `tests/python/text/vocabularies.py` fetches into `target/llama-cpp`. Without a
//! copy this test says so and checks nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::{Path, PathBuf};

use remuda_gguf::Gguf;
use remuda_text::{Encode, Tokenizer};

const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

/// The folder `models` of llama.cpp, if it was fetched.
fn models() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/llama-cpp");
    let models = root.join("models");
    models.is_dir().then_some(models)
}

fn pairs(models: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path());
    let has_pair = |path: &PathBuf| path.with_extension("gguf.inp").exists();
    let is_gguf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "gguf");
    let mut found: Vec<PathBuf> = entries.filter(is_gguf).filter(has_pair).collect();
    found.sort();
    found
}

#[test]
fn every_line_equals_the_expected_tokens() {
    let Some(models) = models() else {
        println!(
            "skipped: no copy of llama.cpp's models (tests/python/text/vocabularies.py fetches one)"
        );
        return;
    };
    let files = pairs(&models);
    assert!(files.len() >= 15, "expected at least 15 pairs, got {}", files.len());
    let mut wrong = Vec::new();
    let mut lines = 0;
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        let tokenizer = Tokenizer::from_gguf(Gguf::parse(&bytes).unwrap().metadata()).unwrap();
        let inputs = std::fs::read_to_string(path.with_extension("gguf.inp")).unwrap();
        let outputs = std::fs::read_to_string(path.with_extension("gguf.out")).unwrap();
        let inputs = inputs.strip_suffix(SEPARATOR).unwrap_or(&inputs);
        let inputs: Vec<&str> = inputs.split(SEPARATOR).collect();
        let outputs: Vec<&str> = outputs.lines().collect();
        assert_eq!(inputs.len(), outputs.len(), "{}", path.display());
        for (input, output) in inputs.iter().zip(outputs) {
            let expected: Vec<u32> =
                output.split_whitespace().map(|token| token.parse().unwrap()).collect();
            let got = tokenizer.encode(input, Encode::TEXT).unwrap();
            lines += 1;
            if got != expected {
                let name = path.file_name().unwrap().display();
                wrong
                    .push(format!("{name} {input:?}\n  expected {expected:?}\n  got      {got:?}"));
            }
        }
    }
    println!("{lines} lines of {} vocabularies", files.len());
    assert!(wrong.is_empty(), "{} of {lines} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}
