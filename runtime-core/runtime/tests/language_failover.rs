//! A small decoder divided among made-up devices none of which has room for all of it, and one of them
//! lost at any place of an answer: the tokens are those of an undisturbed run, and it is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/small_model.rs"]
mod small_model;

use std::sync::Arc;

use remuda::placement::Plan;
use remuda::{
    Ask, DType, LanguageModel, LanguageOptions, Memory, Runtime, Sampling, StepFailover, Table,
};

/// How often a device is lost.
const DRILLS: usize = 100;
/// Tokens of a step: prompts take several.
const STEP: usize = 6;
/// The places of the prompts' last pieces, in steps of an answer that is asked for alone.
const PROMPT_STEPS: u64 = 3;
const KINDS: [&str; 2] = ["gpu", "npu"];
/// Bytes of each device's memory. The model has 320,000 bytes of weights, and caches.
const ROOM: u64 = 220_000;
/// Enough for a layer of the next plan beside what a device has of the one that failed.
const MORE_ROOM: u64 = 2 * ROOM;

struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Numbers that look random and are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// What is lost, and when.
#[derive(Clone, Copy, Debug)]
struct Loss {
    kind: &'static str,
    /// The run of that device, counted from 1.
    at: u64,
}

fn load(losses: &[Loss], mirror: bool) -> LanguageModel {
    load_into(ROOM, losses, mirror)
}

fn load_into(room: u64, losses: &[Loss], mirror: bool) -> LanguageModel {
    let table = Table::linked(remuda_fake::table()).unwrap();
    let builder = Runtime::builder().link(table).backends(["fake", "cpu"]).threads(1).cache(None);
    let builder = builder.provider_option("fake", "devices", KINDS.join(",")).provider_option(
        "fake",
        "memory",
        room.to_string(),
    );
    let builder = losses.iter().fold(builder, |builder, Loss { kind, at }| {
        builder.provider_option("fake", format!("{kind}.fail"), format!("lost@{at}"))
    });
    let options = LanguageOptions {
        cache: DType::F32,
        sequences: 2,
        step_tokens: STEP,
        mirror,
        ..LanguageOptions::default()
    };
    let bytes = Arc::new(Bytes(small_model::bytes(|_| ())));
    builder.build().unwrap().load_language_bytes(bytes, &options).unwrap()
}

/// The tokens of an answer, and the devices that failed during it.
type Told = (Vec<u32>, Vec<StepFailover>);

/// What prompts are answered with that are asked at once.
fn answers(model: &LanguageModel, prompts: std::ops::Range<u32>) -> Vec<Told> {
    let start = |seed: u32| {
        let prompt = (0..15 + 4 * seed).map(|at| 3 + (at * at + 7 * seed) % 250).collect();
        let sampling = Sampling { seed: u64::from(seed), ..Sampling::default() };
        model.answer_tokens(prompt, &Ask { sampling, ..Ask::most(10) }).unwrap()
    };
    let started: Vec<_> = prompts.map(start).collect();
    let finish = |mut answer: remuda::Answer| {
        let tokens: Vec<u32> = answer.by_ref().filter_map(|piece| piece.unwrap().token).collect();
        (tokens, answer.outcome().unwrap().usage.failovers)
    };
    started.into_iter().map(finish).collect()
}

fn streams(answers: &[Told]) -> Vec<&[u32]> {
    answers.iter().map(|(tokens, _)| &tokens[..]).collect()
}

/// The last run of a device during an answer that is asked for alone: what comes later is not noticed.
fn last_run(kind: &'static str) -> u64 {
    let happens = |at| {
        let model = load(&[Loss { kind, at }], false);
        answers(&model, 0..1);
        !model.failovers().is_empty()
    };
    let (mut known, mut beyond) = (1, 1000);
    assert!(happens(known) && !happens(beyond));
    while beyond - known > 1 {
        let middle = known.midpoint(beyond);
        if happens(middle) { known = middle } else { beyond = middle }
    }
    known
}

fn fits(plan: &Plan) {
    for used in plan.providers.iter().filter(|used| used.name.starts_with("fake")) {
        assert!(used.weights_bytes > 0, "{} has nothing", used.name);
        assert!(used.weights_bytes <= ROOM && used.peak_bytes() <= ROOM, "{used:?}");
    }
}

#[test]
fn layers_are_divided_as_memory_allows_and_give_the_same_tokens() {
    let alone = Runtime::builder().threads(1).build().unwrap();
    let options = LanguageOptions { cache: DType::F32, ..LanguageOptions::default() };
    let bytes = Arc::new(Bytes(small_model::bytes(|_| ())));
    let cpu = alone.load_language_bytes(bytes, &options).unwrap();
    let divided = load(&[], false);
    assert!(divided.memory().weight_bytes > ROOM);
    let plan = divided.placement();
    assert_eq!(plan.providers.len(), KINDS.len() + 1);
    fits(&plan);
    let (want, got) = (answers(&cpu, 0..3), answers(&divided, 0..3));
    assert_eq!(streams(&got), streams(&want));
    assert!(want.iter().all(|(tokens, _)| tokens.len() == 10), "{want:?}");
    assert!(divided.failovers().is_empty());
    let receipt = divided.last_receipt().unwrap();
    assert!(receipt.failovers.is_empty() && receipt.parts.len() >= KINDS.len(), "{receipt:?}");
}

#[test]
fn a_device_may_be_lost_a_hundred_times_at_random_tokens() {
    let want = answers(&load(&[], false), 0..3);
    let runs = KINDS.map(last_run);
    let mut random = Random(0x9e37_79b9);
    let (mut in_prompts, mut in_answers, mut in_company) = (0, 0, 0);
    for drill in 0..DRILLS {
        let which = usize::from(random.below(2) == 1);
        let loss = Loss { kind: KINDS[which], at: 1 + random.below(runs[which]) };
        let (mirror, together) = (random.below(2) == 1, random.below(4) == 0);
        let case = format!("{drill}: {loss:?}, mirror {mirror}, together {together}");
        let model = load(&[loss], mirror);
        fits(&model.placement());
        let got = answers(&model, if together { 0..3 } else { 0..1 });
        assert_eq!(streams(&got), streams(&want)[..got.len()], "{case}");
        let failovers = model.failovers();
        let [failed] = &failovers[..] else { panic!("{case}: {failovers:?}") };
        let name = format!("fake:{}", loss.kind);
        assert_eq!((&*failed.failover.target, failed.failover.code), (&*name, "device-lost"));
        assert!(!failed.onto.is_empty() && !failed.onto.contains(&name), "{case}: {failed:?}");
        assert_eq!(failed.failover.plan, model.placement().id, "{case}");
        // Whoever was under way is told, and nobody of anything else.
        assert!(got.iter().any(|(_, told)| told == &failovers), "{case}");
        assert!(got.iter().all(|(_, told)| told.is_empty() || told == &failovers), "{case}");
        in_company += usize::from(together);
        in_prompts += usize::from(!together && failed.step <= PROMPT_STEPS);
        in_answers += usize::from(!together && failed.step > PROMPT_STEPS);
    }
    assert!(in_prompts > 10 && in_answers > 30 && in_company > 15, "too much alike");
}

#[test]
fn an_answer_outlives_all_devices_but_the_processor() {
    let want = answers(&load(&[], false), 0..3);
    for (gpu, npu) in [(2, 9), (7, 3), (11, 12)] {
        let losses = [Loss { kind: "gpu", at: gpu }, Loss { kind: "npu", at: npu }];
        let model = load_into(MORE_ROOM, &losses, gpu > npu);
        let got = answers(&model, 0..3);
        assert_eq!(streams(&got), streams(&want), "{losses:?}");
        let failovers = model.failovers();
        let lost: Vec<&str> = failovers.iter().map(|failed| &*failed.failover.target).collect();
        assert!(lost.len() == 2 && lost[0] != lost[1], "{failovers:?}");
        assert_eq!(failovers[1].onto, ["cpu"], "{failovers:?}");
    }
}
