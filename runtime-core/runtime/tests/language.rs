//! A small language model with seeded weights, from a file to tokens. What its answers should be is
//! checked against other engines in Python; here, that they do not depend on how they are asked for.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/small_model.rs"]
mod small_model;

use std::path::PathBuf;

use remuda::{ErrorKind, LanguageModel, LanguageOptions, Runtime, greedy};
use remuda_tensor::DType;

use small_model::{VOCABULARY, Weights};

/// Writes the model to a file that only this test uses.
fn write(name: &str, change: impl Fn(&mut Weights)) -> PathBuf {
    let name = format!("remuda-language-{name}-{}.gguf", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, small_model::bytes(change)).unwrap();
    path
}

fn load(path: &PathBuf, options: &LanguageOptions) -> Result<LanguageModel, remuda::Error> {
    Runtime::builder().threads(2).build()?.load_language(path, options)
}

fn tokens(model: &LanguageModel, prompt: &[u32], most: usize) -> Vec<u32> {
    let generation = model.generate(prompt.to_vec(), Some(most), greedy(Vec::new())).unwrap();
    generation.map(Result::unwrap).collect()
}

#[test]
fn answers_do_not_depend_on_company_pieces_or_what_was_asked_before() {
    let path = write("company", |_| ());
    let options = LanguageOptions { cache: DType::F32, ..LanguageOptions::default() };
    let alone = load(&path, &options).unwrap();
    let prompts: Vec<Vec<u32>> =
        (1..7).map(|at| (0..at * 9).map(|t| t * at % 97).collect()).collect();
    let want: Vec<_> = prompts.iter().map(|prompt| tokens(&alone, prompt, 20)).collect();
    assert!(want.iter().all(|tokens| tokens.len() == 20));
    let again: Vec<_> = prompts.iter().rev().map(|prompt| tokens(&alone, prompt, 20)).collect();
    assert_eq!(again.into_iter().rev().collect::<Vec<_>>(), want);
    let options = LanguageOptions { sequences: 3, step_tokens: 5, ..options };
    let together = load(&path, &options).unwrap();
    let start = |prompt: &Vec<u32>| together.generate(prompt.clone(), Some(20), greedy(Vec::new()));
    let running: Vec<_> = prompts.iter().map(|prompt| start(prompt).unwrap()).collect();
    let got: Vec<Vec<u32>> =
        running.into_iter().map(|generation| generation.map(Result::unwrap).collect()).collect();
    assert_eq!(got, want);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_start_of_a_prompt_is_computed_once() {
    let path = write("reuse", |_| ());
    let model = load(&path, &LanguageOptions::default()).unwrap();
    let prompt: Vec<u32> = (0..60).collect();
    tokens(&model, &prompt, 3);
    let longer: Vec<u32> = (0..70).collect();
    let mut second = model.generate(longer, Some(1), greedy(Vec::new())).unwrap();
    assert_eq!(second.by_ref().count(), 1);
    let usage = second.usage().unwrap();
    assert_eq!((usage.prompt, usage.reused, usage.generated), (70, 60, 1));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_does_not_fit_is_refused_with_both_numbers() {
    let path = write("refuse", |_| ());
    let model = load(&path, &LanguageOptions { context: Some(32), ..LanguageOptions::default() });
    let model = model.unwrap();
    let refused = |prompt: Vec<u32>| {
        let mut generation = model.generate(prompt, None, greedy(Vec::new())).unwrap();
        generation.next().unwrap().unwrap_err().to_string()
    };
    assert_eq!(refused(vec![1; 33]), "the prompt has 33 tokens, the context has room for 32");
    assert_eq!(refused(vec![264]), "token 264 is not in the vocabulary of 264");
    assert_eq!(refused(Vec::new()), "the prompt is empty: expected at least 1 token");
    assert_eq!(tokens(&model, &[1; 30], 100).len(), 2);
    assert_eq!(model.logits(vec![1; 32]).unwrap().len(), 32 * VOCABULARY);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn weights_too_many_too_few_or_misshapen_are_named() {
    let error = |name: &str, change: fn(&mut Weights)| {
        let path = write(name, change);
        let error = load(&path, &LanguageOptions::default()).unwrap_err();
        std::fs::remove_file(path).unwrap();
        (error.kind(), error.to_string())
    };
    let extra = error("extra", |list| list.push(("blk.0.attn_gate.weight".to_owned(), vec![4])));
    let text = "weight `blk.0.attn_gate.weight` has no place in this architecture";
    assert_eq!(extra, (ErrorKind::Unsupported, text.to_owned()));
    let (kind, text) = error("missing", |list| list.retain(|(name, _)| !name.contains("1.ffn_up")));
    assert!(kind == ErrorKind::Invalid && text.contains("blk.1.ffn_up.weight"), "{text}");
    let (kind, text) = error("shape", |list| list[3].1 = vec![64, 65]);
    let want = "weight `blk.0.attn_q.weight` has dimensions [64, 65], expected [64, 64]".to_owned();
    assert_eq!((kind, text), (ErrorKind::Invalid, want));
}
