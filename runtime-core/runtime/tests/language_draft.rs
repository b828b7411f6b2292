//! A draft model that fails is given up: answers are those of the model alone, and it is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/small_model.rs"]
mod small_model;

use std::path::{Path, PathBuf};

use remuda::placement::Strictness;
use remuda::{DType, LanguageModel, LanguageOptions, Runtime, Table, greedy};

/// The last run of the device that is made to fail: the model's prompt and a few guesses lie before it.
const LAST_RUN: u64 = 24;

fn load(path: &Path, fail: &str) -> LanguageModel {
    let table = Table::linked(remuda_fake::table()).unwrap();
    let builder = Runtime::builder().link(table).backends(["fake"]).threads(1).cache(None);
    let builder = builder.provider_option("fake", "gpu.fail", fail.to_owned());
    let options = LanguageOptions {
        cache: DType::F32,
        draft: Some(path.to_owned()),
        ..LanguageOptions::default()
    };
    let runtime = builder.usual_fallback(Strictness::Error).build().unwrap();
    runtime.load_language(path, &options).unwrap()
}

/// The tokens of an answer, if the model itself did not fail.
fn tokens(model: &LanguageModel) -> Option<Vec<u32>> {
    let answer = model.generate((3..20).collect(), Some(12), greedy(Vec::new())).unwrap();
    answer.collect::<Result<_, _>>().ok()
}

fn file() -> PathBuf {
    let path = std::env::temp_dir().join(format!("remuda-draft-{}.gguf", std::process::id()));
    std::fs::write(&path, small_model::bytes(|_| ())).unwrap();
    path
}

#[test]
fn a_draft_model_that_fails_is_given_up_and_told_of() {
    let path = file();
    let undisturbed = load(&path, "");
    let want = tokens(&undisturbed).unwrap();
    assert_eq!(undisturbed.draft_lost(), None);
    let mut given_up = 0;
    for run in 1..=LAST_RUN {
        let model = load(&path, &format!("error@{run}"));
        let got = tokens(&model);
        let Some(reason) = model.draft_lost() else { continue };
        assert!(reason.contains("fake"), "{reason}");
        assert_eq!(got.as_ref(), Some(&want), "{run}: {reason}");
        given_up += 1;
    }
    std::fs::remove_file(path).unwrap();
    assert!(given_up > 0, "the draft model never failed");
}
