//! A small language model with seeded weights, from a file to tokens. What its answers should be is
//! checked against other engines in Python; here, that they do not depend on how they are asked for.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::PathBuf;

use remuda::{ErrorKind, LanguageModel, LanguageOptions, Runtime, greedy};
use remuda_gguf::{Builder, Value};
use remuda_tensor::DType;

const VOCABULARY: usize = 97;
const FEATURES: usize = 64;
const INNER: usize = 96;
const LAYERS: usize = 2;

/// Numbers that look random and are the same on every run, in -0.2..0.2.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * 0.2
    };
    (0..count).flat_map(|_| next().to_le_bytes()).collect()
}

fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut list = vec![
        ("token_embd.weight".to_owned(), vec![VOCABULARY, FEATURES]),
        ("output_norm.weight".to_owned(), vec![FEATURES]),
    ];
    for layer in 0..LAYERS {
        let shapes: [(&str, Vec<usize>); 9] = [
            ("attn_norm", vec![FEATURES]),
            ("attn_q", vec![FEATURES, FEATURES]),
            ("attn_k", vec![FEATURES / 2, FEATURES]),
            ("attn_v", vec![FEATURES / 2, FEATURES]),
            ("attn_output", vec![FEATURES, FEATURES]),
            ("ffn_norm", vec![FEATURES]),
            ("ffn_gate", vec![INNER, FEATURES]),
            ("ffn_up", vec![INNER, FEATURES]),
            ("ffn_down", vec![FEATURES, INNER]),
        ];
        list.extend(
            shapes.into_iter().map(|(name, shape)| (format!("blk.{layer}.{name}.weight"), shape)),
        );
    }
    list
}

/// Writes the model, with one weight more or less if asked for.
fn write(name: &str, change: impl Fn(&mut Vec<(String, Vec<usize>)>)) -> PathBuf {
    let mut list = tensors();
    change(&mut list);
    let mut builder = Builder::new();
    builder.set("general.architecture", Value::Text("llama")).unwrap();
    for (key, value) in [
        ("block_count", LAYERS),
        ("context_length", 128),
        ("embedding_length", FEATURES),
        ("feed_forward_length", INNER),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ] {
        let value = u32::try_from(value).unwrap();
        builder.set(&format!("llama.{key}"), Value::U32(value)).unwrap();
    }
    builder.set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)).unwrap();
    for (name, shape) in &list {
        builder.add_tensor(name, shape, DType::F32).unwrap();
    }
    let path =
        std::env::temp_dir().join(format!("remuda-language-{name}-{}.gguf", std::process::id()));
    let mut file = Vec::new();
    builder
        .write(&mut file, |name, out| {
            let at = list.iter().position(|(known, _)| known == name).unwrap();
            out.write_all(&noise(list[at].1.iter().product(), at as u64 + 1))
        })
        .unwrap();
    std::fs::write(&path, file).unwrap();
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
    assert_eq!(refused(vec![97]), "token 97 is not in the vocabulary of 97");
    assert_eq!(refused(Vec::new()), "the prompt is empty: expected at least 1 token");
    assert_eq!(tokens(&model, &[1; 30], 100).len(), 2);
    assert_eq!(model.logits(vec![1; 32]).unwrap().len(), 32 * VOCABULARY);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn weights_too_many_too_few_or_misshapen_are_named() {
    let error = |name: &str, change: fn(&mut Vec<(String, Vec<usize>)>)| {
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
    let (kind, text) = error("shape", |list| list[3].1 = vec![FEATURES, FEATURES + 1]);
    let want = "weight `blk.0.attn_q.weight` has dimensions [64, 65], expected [64, 64]".to_owned();
    assert_eq!((kind, text), (ErrorKind::Invalid, want));
}
