//! A small T5 with seeded weights: an encoder reads the prompt and a decoder writes the answer. What it
//! should say is checked against transformers in Python; here, that it does not depend on how it is asked.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/small_t5.rs"]
mod small_t5;

use std::sync::Arc;

use remuda::text::Chat;
use remuda::{
    Ask, DType, LanguageModel, LanguageOptions, Memory, Runtime, StepFailover, Table, greedy,
};

use small_t5::{CONTEXT, START, VOCABULARY};

const STEPS: usize = 24;

struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn bytes() -> Arc<Bytes> {
    Arc::new(Bytes(small_t5::bytes()))
}

fn load(options: &LanguageOptions) -> LanguageModel {
    let runtime = Runtime::builder().threads(2).build().unwrap();
    runtime.load_language_bytes(bytes(), options).unwrap()
}

fn plain() -> LanguageOptions {
    LanguageOptions { cache: DType::F32, ..LanguageOptions::default() }
}

/// Prompts of different lengths, some of which begin alike.
fn prompts() -> Vec<Vec<u32>> {
    let prompt = |seed: u32| (0..5 + 9 * seed).map(|at| (at * at + 17 * (seed / 2)) % 96).collect();
    (0..7).map(prompt).collect()
}

fn tokens(model: &LanguageModel, prompt: &[u32]) -> Vec<u32> {
    let generation = model.generate(prompt.to_vec(), Some(STEPS), greedy(Vec::new())).unwrap();
    generation.map(Result::unwrap).collect()
}

/// What prompts that are all asked at once are answered.
fn together(model: &LanguageModel) -> Vec<Vec<u32>> {
    let prompts = prompts();
    let start = |prompt: &Vec<u32>| {
        model.generate(prompt.clone(), Some(STEPS), greedy(Vec::new())).unwrap()
    };
    let running: Vec<_> = prompts.iter().map(start).collect();
    let finish = |generation: remuda::Generation| generation.map(Result::unwrap).collect();
    running.into_iter().map(finish).collect()
}

fn alone() -> Vec<Vec<u32>> {
    let model = load(&plain());
    prompts().iter().map(|prompt| tokens(&model, prompt)).collect()
}

#[test]
fn answers_do_not_depend_on_company_steps_or_what_was_asked_before() {
    let want = alone();
    assert!(want.iter().all(|tokens| tokens.len() == STEPS));
    let differing = want.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert!(differing > want.len() / 2, "the prompts matter: {want:?}");
    for (sequences, step_tokens) in [(3, 512), (4, 4), (7, 9)] {
        let model = load(&LanguageOptions { sequences, step_tokens, ..plain() });
        assert_eq!(together(&model), want, "{sequences} sequences");
        assert_eq!(together(&model), want, "{sequences} sequences, again");
    }
}

#[test]
fn tokens_that_are_run_ahead_change_nothing() {
    let want = alone();
    let model = load(&LanguageOptions { lookup: true, ..plain() });
    let got: Vec<_> = prompts().iter().map(|prompt| tokens(&model, prompt)).collect();
    assert_eq!(got, want);
}

#[test]
fn logits_of_an_answer_are_those_that_its_tokens_are_picked_from() {
    let model = load(&plain());
    for prompt in prompts() {
        let answer = tokens(&model, &prompt);
        let logits = model.answer_logits(prompt, answer.clone()).unwrap();
        assert_eq!(logits.len(), (STEPS + 1) * VOCABULARY);
        let mut likeliest = greedy(Vec::new());
        let picked = logits.chunks(VOCABULARY).map(|row| likeliest(row).unwrap());
        assert_eq!(picked.take(STEPS).collect::<Vec<_>>(), answer);
    }
}

#[test]
fn prompts_and_answers_have_the_context_each_for_themselves() {
    let model = load(&plain());
    assert_eq!((model.info().start, model.budget().context), (Some(START), CONTEXT));
    assert!(model.reads_prompts_apart());
    let mut longest = model.generate(vec![5; CONTEXT], None, greedy(Vec::new())).unwrap();
    // One position is that of the token that starts the answer.
    assert_eq!(longest.by_ref().map(Result::unwrap).count(), CONTEXT - 1);
    let usage = longest.usage().unwrap();
    assert_eq!((usage.prompt, usage.reused, usage.generated), (CONTEXT, 0, CONTEXT - 1));
    let refused = |prompt: Vec<u32>, answer: Vec<u32>| {
        model.answer_logits(prompt, answer).unwrap_err().to_string()
    };
    let text = format!("the prompt has 65 tokens, the context has room for {CONTEXT}");
    assert_eq!(refused(vec![1; CONTEXT + 1], Vec::new()), text);
    assert_eq!(refused(vec![1], vec![1; CONTEXT]), text);
    assert_eq!(refused(vec![1], vec![96]), "token 96 is not in the vocabulary of 96");
    assert_eq!(refused(Vec::new(), vec![1]), "the prompt is empty: expected at least 1 token");
}

#[test]
fn what_makes_no_sense_with_an_encoder_is_refused() {
    let model = load(&plain());
    let text = "`t5` reads prompts with an encoder: there are logits behind the tokens of an answer, and none \
                behind those of a prompt";
    assert_eq!(model.logits(vec![1, 2]).unwrap_err().to_string(), text);
    assert_eq!(model.log_probabilities(vec![1, 2]).unwrap_err().to_string(), text);
    let message = serde_json::json!([{ "role": "user", "content": "a" }]);
    let refused = model.chat(&Chat::new(message), &Ask::default()).unwrap_err();
    assert_eq!(refused.to_string(), "`t5` answers texts and knows no conversations");
    let path = std::env::temp_dir().join(format!("remuda-t5-draft-{}.gguf", std::process::id()));
    std::fs::write(&path, small_t5::bytes()).unwrap();
    let options = LanguageOptions { draft: Some(path.clone()), ..plain() };
    let runtime = Runtime::builder().threads(1).build().unwrap();
    let refused = runtime.load_language_bytes(bytes(), &options).unwrap_err().to_string();
    std::fs::remove_file(path).unwrap();
    assert!(refused.contains("`t5` reads them with an encoder"), "{refused}");
}

#[test]
fn the_caches_of_both_are_counted() {
    let bytes = |sequences, context| {
        let context = Some(context);
        load(&LanguageOptions { sequences, context, ..plain() }).memory().cache_bytes
    };
    // Two caches for each of three layers, of keys and values of 32 numbers in pages of 32 positions.
    assert!(bytes(1, 64) >= 2 * 3 * 64 * 2 * 32 * 4, "{}", bytes(1, 64));
    assert!(bytes(2, 64) > bytes(1, 64) && bytes(1, 64) > bytes(1, 32));
}

/// The model on two made-up devices, one of which is lost in a run.
fn on_devices(fault: Option<(&str, u64)>, mirror: bool) -> LanguageModel {
    let table = Table::linked(remuda_fake::table()).unwrap();
    let mut builder = Runtime::builder()
        .link(table)
        .backends(["fake", "cpu"])
        .threads(1)
        .cache(None)
        .provider_option("fake", "devices", "gpu,npu")
        .provider_option("fake", "memory", "200000");
    if let Some((kind, at)) = fault {
        let (option, fault) = (format!("{kind}.fail"), format!("lost@{at}"));
        builder = builder.provider_option("fake", option, fault);
    }
    let options = LanguageOptions { sequences: 3, mirror, ..plain() };
    builder.build().unwrap().load_language_bytes(bytes(), &options).unwrap()
}

#[test]
fn a_lost_device_costs_no_token() {
    let want = alone();
    let undisturbed = on_devices(None, false);
    assert_eq!(together(&undisturbed), want);
    let used = undisturbed.placement().providers.len();
    assert!(used > 1, "devices take part");
    let mut lost = 0;
    for kind in ["gpu", "npu"] {
        for at in [1, 3, 8, 20, 41, 77] {
            for mirror in [false, true] {
                let model = on_devices(Some((kind, at)), mirror);
                assert_eq!(together(&model), want, "{kind} at {at}, mirror {mirror}");
                let failed: Vec<StepFailover> = model.failovers();
                lost += failed.len();
            }
        }
    }
    assert!(lost >= 12, "{lost} devices were lost");
}
