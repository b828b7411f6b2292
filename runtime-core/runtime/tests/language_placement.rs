//! A small language model over several made-up devices: the tokens are those of the CPU alone, whoever
//! runs which layers, and whatever breaks in the middle.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "support/small_model.rs"]
mod small_model;

use std::sync::Arc;

use remuda::placement::{Contract, Origin, Plan, Policy, Strictness};
use remuda::{
    Ask, Builder, DType, LanguageModel, LanguageOptions, Memory, Runtime, Sampling, Table,
};

struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn load(builder: Builder, mirror: bool) -> LanguageModel {
    let options =
        LanguageOptions { cache: DType::F32, sequences: 2, mirror, ..LanguageOptions::default() };
    let bytes = Arc::new(Bytes(small_model::bytes(|_| ())));
    builder.threads(1).build().unwrap().load_language_bytes(bytes, &options).unwrap()
}

fn fake(options: &[(&str, &str)]) -> Builder {
    let table = Table::linked(remuda_fake::table()).unwrap();
    let builder = Runtime::builder().link(table).backends(["fake", "cpu"]);
    options
        .iter()
        .fold(builder, |builder, (key, value)| builder.provider_option("fake", *key, *value))
}

/// Two answers at once, and one more after them.
fn answers(model: &LanguageModel) -> Vec<String> {
    let ask = |seed| Ask { sampling: Sampling { seed, ..Sampling::default() }, ..Ask::most(40) };
    let mut together =
        ["ab a", "ba ba b"].map(|prompt| model.answer(prompt, &ask(3)).unwrap()).into_iter();
    let mut texts: Vec<String> = together.by_ref().map(|mut one| one.text().unwrap()).collect();
    texts.push(model.answer("ab a", &ask(5)).unwrap().text().unwrap());
    texts
}

/// The names of the devices that run anything.
fn devices(model: &LanguageModel) -> Vec<String> {
    let plan = model.placement();
    let parts = plan.classes.iter().flat_map(|class| &class.parts);
    let mut names: Vec<String> =
        parts.map(|part| plan.providers[part.provider.index()].name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn any_division_of_the_layers_gives_the_same_tokens() {
    let want = answers(&load(Runtime::builder(), false));
    for options in [&[("devices", "gpu,npu"), ("cuts", "3")][..], &[("cuts", "7")], &[]] {
        let model = load(fake(options), false);
        assert_eq!(answers(&model), want, "{options:?}");
        assert!(devices(&model).iter().any(|name| name.starts_with("fake")), "{options:?}");
    }
}

#[test]
fn a_device_too_small_for_all_gets_what_fits() {
    let want = answers(&load(Runtime::builder(), false));
    let model = load(fake(&[("memory", "150000")]), false);
    assert_eq!(answers(&model), want);
    let devices = devices(&model);
    assert!(devices.len() > 1, "expected a division, got {devices:?}");
}

/// The device of each layer, which is whole and the same for both sorts of steps, and the numbers of parts.
fn layers(plan: &Plan) -> (Vec<usize>, Vec<usize>) {
    let mut layers: Vec<usize> = Vec::new();
    for class in &plan.classes {
        for (name, placement) in plan.nodes.iter().zip(&class.placements) {
            let layer = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next());
            let Some(layer) = layer.map(|layer| layer.parse::<usize>().unwrap()) else { continue };
            let owner = placement.provider.index();
            layers.resize(layers.len().max(layer + 1), owner);
            assert_eq!(layers[layer], owner, "`{name}` in {}", class.name);
        }
    }
    (layers, plan.classes.iter().map(|class| class.parts.len()).collect())
}

#[test]
fn the_first_device_gets_whole_layers_where_the_order_decides() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/assets/demo.gguf");
    let options =
        LanguageOptions { context: Some(256), step_tokens: 32, ..LanguageOptions::default() };
    let load = |builder: Builder| {
        builder.threads(1).build().unwrap().load_language(demo, &options).unwrap()
    };
    let answer = |model: &LanguageModel| {
        model.answer("What is a river?", &Ask::most(8)).unwrap().text().unwrap()
    };
    let want = answer(&load(Runtime::builder()));
    let mut seen = Vec::new();
    for memory in 1..30 {
        let memory = (memory * 250_000).to_string();
        let model = load(fake(&[("memory", &memory)]));
        let (layers, parts) = layers(&model.placement());
        let count = layers.iter().filter(|&&owner| owner == 0).count();
        assert!(layers.is_sorted(), "{layers:?}");
        assert!(parts.iter().all(|&parts| parts <= 3), "{parts:?} with {memory} bytes");
        if seen.last() != Some(&count) {
            assert_eq!(answer(&model), want, "{layers:?}");
            seen.push(count);
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn both_sorts_of_steps_are_planned_and_cost_beats_the_order_of_backends() {
    let ops = "all,-RMSNormalization,-SkipSimplifiedLayerNormalization";
    let options = [("devices", "gpu,npu"), ("gpu.launch_us", "2000"), ("gpu.ops", ops)];
    let want = answers(&load(Runtime::builder(), false));
    // What is predicted is looked at here, not what a comparison of real runs makes of it.
    let model = load(fake(&options).policy(Policy::Cost).canary(false), false);
    assert_eq!(answers(&model), want);
    let plan = model.placement();
    let classes: Vec<&str> = plan.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(classes, ["decode", "prefill"]);
    let greedy = plan.instead.iter().find(|instead| instead.rule == Origin::Priority).unwrap();
    assert!(2 * plan.cost_ns < greedy.cost_ns, "{} {}", plan.cost_ns, greedy.cost_ns);
    let by_order = load(fake(&options).policy(Policy::Priority), false);
    assert_eq!(answers(&by_order), want);
    let parts = |plan: &Plan| plan.classes.iter().map(|class| class.parts.len()).sum::<usize>();
    assert!(parts(&plan) < parts(&by_order.placement()));
}

/// Two devices between which cost decides: `gpu` says that it takes no time and is slow, `npu` says
/// that it takes more and is as fast as the processor.
fn misled() -> Builder {
    let options =
        [("devices", "gpu,npu"), ("gpu.cost", "*=1"), ("npu.cost", "*=20000"), ("gpu.pace", "10")];
    let strict = Contract { fallback: Strictness::Error, ..Contract::default() };
    fake(&options).backends(["fake"]).policy(Policy::Cost).contract(strict).cache(None)
}

#[test]
fn before_the_first_step_plans_are_tried_and_the_fastest_is_kept() {
    let want = answers(&load(Runtime::builder(), false));
    let believing = load(misled().canary(false), false);
    assert_eq!(answers(&believing), want);
    assert!(devices(&believing).contains(&"fake:gpu".to_owned()), "{:?}", devices(&believing));
    assert!(believing.trials().is_empty());
    for mirror in [false, true] {
        let model = load(misled(), mirror);
        assert!(devices(&model).contains(&"fake:gpu".to_owned()), "{:?}", devices(&model));
        assert!(model.trials().is_empty());
        assert_eq!(answers(&model), want);
        assert_eq!(devices(&model), ["fake:npu"]);
        let trials = model.trials();
        let kept = trials.iter().find(|trial| trial.kept).unwrap();
        assert!(!trials[0].kept, "{trials:?}");
        for trial in trials {
            assert!(kept.measured() <= trial.measured(), "{trials:?}");
            let classes: Vec<&str> = trial.classes.iter().map(|class| &*class.name).collect();
            assert_eq!(classes, ["decode", "prefill"]);
        }
    }
}

#[test]
fn other_devices_promise_no_deterministic_answers() {
    let options = LanguageOptions { deterministic: true, ..LanguageOptions::default() };
    let bytes = || Arc::new(Bytes(small_model::bytes(|_| ())));
    let asked_for = fake(&[]).build().unwrap();
    let error = asked_for.load_language_bytes(bytes(), &options).unwrap_err();
    assert!(error.to_string().contains("on backend `fake`: only `cpu`"), "{error}");
    let table = Table::linked(remuda_fake::table()).unwrap();
    let free = Runtime::builder().link(table).build().unwrap();
    let model = free.load_language_bytes(bytes(), &options).unwrap();
    assert!(devices(&model).iter().all(|name| name.starts_with("cpu")), "{:?}", devices(&model));
}
