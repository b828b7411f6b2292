//! What prompts have in common is computed once, whoever has it in the caches; answers stay as they are.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/small_model.rs"]
mod small_model;

use std::sync::Arc;
use std::sync::mpsc::channel;

use remuda::{DType, Generation, LanguageModel, LanguageOptions, Memory, Pick, Runtime, greedy};
use remuda_gguf::Value;

/// Positions of a window, where there is one.
const WINDOW: u32 = 8;

struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn load(sequences: u32, windowed: bool) -> LanguageModel {
    let window = |builder: &mut remuda_gguf::Builder| {
        builder.set("llama.attention.sliding_window", Value::U32(WINDOW)).unwrap();
    };
    let bytes = if windowed {
        small_model::with_metadata(|_| (), window)
    } else {
        small_model::bytes(|_| ())
    };
    let options = LanguageOptions {
        cache: DType::F32,
        sequences,
        context: Some(400),
        step_tokens: 32,
        ..LanguageOptions::default()
    };
    let runtime = Runtime::builder().backends(["cpu"]).threads(1).build().unwrap();
    runtime.load_language_bytes(Arc::new(Bytes(bytes)), &options).unwrap()
}

/// Tokens of an answer, and how many of the prompt were reused.
fn finish(mut generation: Generation) -> (Vec<u32>, usize) {
    let tokens = generation.by_ref().map(Result::unwrap).collect();
    (tokens, generation.usage().unwrap().reused)
}

fn ask(model: &LanguageModel, prompt: &[u32], most: usize) -> (Vec<u32>, usize) {
    finish(model.generate(prompt.to_vec(), Some(most), greedy(Vec::new())).unwrap())
}

/// A beginning of so many tokens, and one of several questions.
fn prompt(beginning: u32, question: u32) -> Vec<u32> {
    let tokens = (0..beginning).map(|at| at * at % 251);
    tokens.chain((0..9).map(|at| 200 + question + at % 3)).collect()
}

/// Picks greedily; after so many tokens it waits for a word.
fn held(after: usize) -> (Pick, std::sync::mpsc::Sender<()>) {
    let (go, gone) = channel();
    let (mut inner, mut picked) = (greedy(Vec::new()), 0);
    let pick: Pick = Box::new(move |logits| {
        picked += 1;
        if picked == after {
            gone.recv().unwrap();
        }
        inner(logits)
    });
    (pick, go)
}

#[test]
fn a_beginning_is_reused_while_the_first_who_had_it_is_running() {
    let model = load(4, false);
    let prompts: Vec<Vec<u32>> = (0..9).map(|question| prompt(150, question)).collect();
    let (pick, go) = held(3);
    let mut first = model.generate(prompts[0].clone(), Some(200), pick).unwrap();
    // Its prompt is computed then.
    let begun = first.next().unwrap().unwrap();
    let others: Vec<Generation> = prompts[1..]
        .iter()
        .map(|prompt| model.generate(prompt.clone(), Some(12), greedy(Vec::new())).unwrap())
        .collect();
    go.send(()).unwrap();
    let others: Vec<_> = others.into_iter().map(finish).collect();
    let (rest, reused) = finish(first);
    let first = [&[begun], &rest[..]].concat();
    assert_eq!((first.len(), reused), (200, 0));
    for (prompt, (tokens, reused)) in prompts[1..].iter().zip(&others) {
        assert_eq!(*reused, 150);
        assert_eq!((tokens.clone(), 0), ask(&load(1, false), prompt, 12));
    }
    assert_eq!((first, 0), ask(&load(1, false), &prompts[0], 200));
}

#[test]
fn a_conversation_outlives_others_that_begin_alike() {
    let model = load(2, false);
    let mut talk = prompt(150, 0);
    // Long enough for the sequence not to be worth giving up.
    talk.extend((0..70).map(|at| at * 3 % 199));
    let (answer, _) = ask(&model, &talk, 5);
    assert_eq!(ask(&model, &prompt(150, 1), 5).1, 150);
    assert_eq!(ask(&model, &prompt(150, 2), 5).1, 150);
    talk.extend(answer);
    let cached = talk.len() - 1;
    talk.extend([7, 8, 9]);
    let (tokens, reused) = ask(&model, &talk, 5);
    assert_eq!(reused, cached);
    assert_eq!(tokens, ask(&load(1, false), &talk, 5).0);
}

#[test]
fn what_is_given_up_is_not_found_again() {
    let model = load(2, false);
    let text = |start: u32| -> Vec<u32> { (0..140).map(|at| (start + at * 5) % 256).collect() };
    let reused = |prompt: &[u32]| ask(&model, prompt, 2).1;
    assert_eq!([text(1), text(2), text(3)].map(|text| reused(&text)), [0, 0, 0]);
    // Of three texts two have room.
    assert_eq!(reused(&text(3)), 139);
    assert_eq!(reused(&text(2)), 139);
    assert_eq!(reused(&text(1)), 0);

    let model = load(1, false);
    let reused = |prompt: &[u32]| ask(&model, prompt, 2).1;
    let cut: Vec<u32> = text(1)[..80].iter().copied().chain([9; 20]).collect();
    assert_eq!((reused(&text(1)), reused(&cut), reused(&text(1))), (0, 80, 80));
}

#[test]
fn a_window_gives_what_it_still_has() {
    let model = load(3, true);
    let mut talk = prompt(150, 0);
    let (answer, _) = ask(&model, &talk, 80);
    // Its window is far behind the beginning.
    let (tokens, reused) = ask(&model, &prompt(150, 1), 5);
    assert_eq!((reused, tokens), (0, ask(&load(1, true), &prompt(150, 1), 5).0));
    talk.extend(answer);
    let cached = talk.len() - 1;
    talk.extend([7, 8, 9]);
    let (tokens, reused) = ask(&model, &talk, 5);
    assert_eq!((reused, tokens), (cached, ask(&load(1, true), &talk, 5).0));
    // One has more of the beginning and gave it up, the other has less and gives it.
    let other = [&talk[..155], &[5; 9]].concat();
    let (tokens, reused) = ask(&model, &other, 5);
    assert_eq!((reused, tokens), (150, ask(&load(1, true), &other, 5).0));
}
