//! Answers of a small language model: what ends them, what they may be, what they say of themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
#[path = "support/small_model.rs"]
mod small_model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remuda::text::{Chat, Encode};
use remuda::{
    Ask, Constraint, DType, Finish, LanguageModel, LanguageOptions, Memory, Runtime, Sampling,
};
use serde_json::json;

struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn load(sequences: u32) -> LanguageModel {
    let options = LanguageOptions { sequences, cache: DType::F32, ..LanguageOptions::default() };
    let bytes = Arc::new(Bytes(small_model::bytes(|_| ())));
    let runtime = Runtime::builder().threads(2).build().unwrap();
    runtime.load_language_bytes(bytes, &options).unwrap()
}

fn seeded(seed: u64) -> Ask {
    Ask { sampling: Sampling { seed, ..Sampling::default() }, ..Ask::most(24) }
}

#[test]
fn the_same_seed_gives_the_same_answer_in_any_company() {
    let alone = load(1);
    let want: Vec<String> =
        (0..4).map(|seed| alone.answer("ab a", &seeded(seed)).unwrap().text().unwrap()).collect();
    assert!(want.iter().any(|text| *text != want[0]), "seeds matter");
    let together = load(4);
    let running: Vec<_> =
        (0..4).map(|seed| together.answer("ab a", &seeded(seed)).unwrap()).collect();
    let got: Vec<String> = running.into_iter().map(|mut answer| answer.text().unwrap()).collect();
    assert_eq!(got, want);
}

#[test]
fn tokens_that_are_run_along_change_no_answer() {
    let plain = load(1);
    let options = LanguageOptions { lookup: true, cache: DType::F32, ..LanguageOptions::default() };
    let bytes = Arc::new(Bytes(small_model::bytes(|_| ())));
    let runtime = Runtime::builder().threads(2).build().unwrap();
    let ahead = runtime.load_language_bytes(bytes, &options).unwrap();
    let greedy = Ask { sampling: Sampling::greedy(), ..Ask::most(90) };
    let fixed = Some(Constraint::Regex("(abcab){30}".to_owned()));
    let copied = Ask { constraint: fixed, ..greedy.clone() };
    for ask in [&greedy, &copied, &seeded(3)] {
        for _ in 0..2 {
            let want = plain.answer("ab ba ab ba", ask).unwrap().text().unwrap();
            let mut answer = ahead.answer("ab ba ab ba", ask).unwrap();
            assert_eq!(answer.text().unwrap(), want);
        }
    }
}

#[test]
fn constraints_hold_from_the_first_token_to_the_end() {
    let model = load(1);
    for seed in 0..8 {
        let constraint = Some(Constraint::Regex("(a|b){3,9}c".to_owned()));
        let ask = Ask { constraint, ..seeded(seed) };
        let mut answer = model.answer("ab", &ask).unwrap();
        let text = answer.text().unwrap();
        let (letters, end) = text.split_at(text.len() - 1);
        assert!((3..=9).contains(&letters.len()) && end == "c", "{text:?}");
        assert!(letters.chars().all(|letter| "ab".contains(letter)), "{text:?}");
        assert_eq!(answer.outcome().unwrap().finish, Finish::End);
    }
    let ask = Ask { constraint: Some(Constraint::Regex("(".to_owned())), ..seeded(0) };
    let error = model.answer("ab", &ask).unwrap_err().to_string();
    assert!(error.starts_with("regular expression"), "{error}");
}

#[test]
fn stop_texts_end_answers_and_are_no_part_of_them() {
    let model = load(1);
    let constraint = Some(Constraint::Regex("(ab){4}".to_owned()));
    let ask = Ask { constraint, stops: vec!["xy".to_owned(), "ba".to_owned()], ..seeded(1) };
    let mut answer = model.answer("a", &ask).unwrap();
    assert_eq!(answer.text().unwrap(), "a");
    assert_eq!(answer.outcome().unwrap().finish, Finish::Stop(1));
}

#[test]
fn pieces_tell_tokens_and_probabilities() {
    let model = load(1);
    let sampling = Sampling::greedy();
    let ask = Ask { sampling, probabilities: Some(3), ..Ask::most(5) };
    let mut answer = model.answer("ab", &ask).unwrap();
    let pieces: Vec<_> = answer.by_ref().map(Result::unwrap).collect();
    let tokens: Vec<u32> = pieces.iter().filter_map(|piece| piece.token).collect();
    for piece in pieces.iter().filter(|piece| piece.token.is_some()) {
        let (own, likeliest) = piece.probabilities.clone().unwrap();
        assert_eq!((likeliest.len(), likeliest[0].token), (3, own.token));
        assert!(likeliest.is_sorted_by(|a, b| a.logprob >= b.logprob));
    }
    let mut all = model.tokenize("ab").unwrap();
    let start = all.len();
    all.extend(&tokens);
    let scored = model.log_probabilities(all).unwrap();
    let told =
        pieces.iter().filter_map(|piece| Some(f64::from(piece.probabilities.as_ref()?.0.logprob)));
    for (told, scored) in told.zip(&scored[start - 1..]) {
        assert!((told - scored).abs() < 1e-4, "{told} {scored}");
    }
    let outcome = answer.outcome().unwrap();
    assert_eq!((outcome.usage.generated, outcome.finish), (5, Finish::Length));
}

#[test]
fn conversations_are_written_by_the_template_and_start_once() {
    let model = load(1);
    let chat = Chat::new(json!([{"role": "user", "content": "ab"}]));
    let got = model.tokenize_chat(&chat).unwrap();
    let want =
        model.tokenizer().unwrap().encode("<s>ab</s>", Encode { affixes: false, special: true });
    assert_eq!(got, want.unwrap());
    assert_eq!(got.iter().filter(|&&token| token == 1).count(), 1);
    let mut answer = model.chat(&chat, &seeded(3)).unwrap();
    answer.text().unwrap();
    assert_eq!(answer.outcome().unwrap().usage.prompt, got.len());
}

#[test]
fn a_cancelled_answer_ends_and_the_next_one_is_not_harmed() {
    let model = load(1);
    let want = model.answer("ab", &seeded(5)).unwrap().text().unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let ask = Ask { cancel: Some(Arc::clone(&cancel)), most: None, ..seeded(6) };
    let mut answer = model.answer("ba", &ask).unwrap();
    answer.next().unwrap().unwrap();
    cancel.store(true, Ordering::Relaxed);
    answer.text().unwrap();
    assert_eq!(answer.outcome().unwrap().finish, Finish::Cancelled);
    assert_eq!(model.answer("ab", &seeded(5)).unwrap().text().unwrap(), want);
}

#[test]
fn those_with_a_larger_priority_go_first() {
    let model = load(1);
    // The first keeps the only sequence busy until the others wait for it.
    let mut busy = model.answer("a", &Ask { most: Some(60), ..seeded(0) }).unwrap();
    let low = model.answer("b", &Ask { priority: -1, ..seeded(1) }).unwrap();
    let high = model.answer("ab", &Ask { priority: 1, ..seeded(2) }).unwrap();
    busy.text().unwrap();
    let times = [high, low].map(|mut answer| {
        answer.text().unwrap();
        answer.outcome().unwrap().prompt_time
    });
    // Both were handed in at about the same time: whoever waited longer went later.
    assert!(times[0] < times[1], "{times:?}");
}

#[test]
fn perplexity_scores_the_second_half_of_windows() {
    let model = load(1);
    let tokens: Vec<u32> = (0..50).map(|at| 8 + at * 37 % 256).collect();
    let cancel = AtomicBool::new(false);
    let mut told = 0;
    let found = model.perplexity(&tokens, 20, &cancel, &mut |_| told += 1).unwrap();
    let mut loss = Vec::new();
    for window in tokens.chunks_exact(20) {
        let window: Vec<u32> = std::iter::once(1).chain(window[1..].iter().copied()).collect();
        loss.extend(model.log_probabilities(window).unwrap().into_iter().skip(10));
    }
    let want = (-loss.iter().sum::<f64>() / loss.len() as f64).exp();
    assert!((found.value - want).abs() < 1e-9 * want, "{} {want}", found.value);
    assert_eq!((found.tokens, found.windows, told), (18, (2, 2), 2));
    let error = model.perplexity(&[8, 9], 20, &cancel, &mut |_| ()).unwrap_err().to_string();
    assert_eq!(error, "a perplexity needs windows of at least 4 tokens, got 2");
    cancel.store(true, Ordering::Relaxed);
    assert!(model.perplexity(&tokens, 20, &cancel, &mut |_| ()).is_err());
}
