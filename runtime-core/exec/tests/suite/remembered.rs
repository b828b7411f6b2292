//! What sessions remember of earlier ones, and what they learn from real runs.

use std::path::Path;

use remuda_cache::{Cache, Kind};
use remuda_exec::plan::Plan;
use remuda_exec::{Contract, Options, RunRequest, Selection, Session, Speeds, Target, Trial};
use remuda_host::Provider;
use remuda_ir::Val;
use remuda_ops::{NEWEST_OPSET, Random};
use remuda_tensor::Tensor;

use crate::common::{cpu, fake, graph, options, run, select};
use crate::decoder::{Feeder, decoder, room};

const CHAIN: &str = "graph \"g\" {\n  input %x: f32[4]\n  %a = Neg(%x)\n  %b = Exp(%a)\n  %c = Abs(%b)\n  output %c\n}";

fn input() -> [Val; 1] {
    [Tensor::vector(vec![1.0f32, -2.0, 0.5, 0.0]).into()]
}

/// An empty cache in a folder of its own.
fn with_cache(name: &str) -> (Cache, Options) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("a sound test");
    }
    let cache = Cache::new(folder, 1 << 20);
    let mut options = options();
    options.cache = Some(cache.clone());
    (cache, options)
}

fn kinds(cache: &Cache) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = cache.list().into_iter().map(|entry| entry.kind).collect();
    kinds.sort();
    kinds
}

fn session(fake: &Provider, wishes: &[&str], options: &Options) -> Session {
    Session::new(graph(CHAIN), &select(fake, wishes), options).expect("a sound test")
}

#[test]
fn plans_and_refusals_are_remembered_and_others_are_not() {
    let (cache, options) = with_cache("remembered");
    let once = fake(&[("fail", "refuse@1")]);
    let runs_on = |plan: &Plan| plan.classes[0].parts[0].provider.index();
    let first = session(&once, &["fake"], &options).plan();
    assert_eq!((kinds(&cache), runs_on(&first)), (vec![Kind::Plan, Kind::Refusals], 1));
    // The device would compile it now and is not asked again.
    let again = session(&once, &["fake"], &options).plan();
    assert_eq!(again, first);
    let text = again.explain(again.node_named("b").unwrap());
    assert!(text.contains("compile-failed") && text.contains("as configured"), "{text}");
    // Another graph, or a provider with other options, is another question.
    let other = graph(&CHAIN.replace("Abs", "Relu"));
    let other = Session::new(other, &select(&once, &["fake"]), &options).unwrap().plan();
    assert_eq!(runs_on(&other), 0);
    let other = fake(&[("fail", "refuse@9")]);
    assert_eq!(runs_on(&session(&other, &["fake"], &options).plan()), 0);
    // So is another build of one version, which may have learnt what the first one refused.
    let rebuilt = fake(&[("fail", "refuse@1")]).of_build("another".to_owned());
    rebuilt.compile(0, graph(CHAIN), NEWEST_OPSET).expect_err("the first is refused");
    assert_eq!(runs_on(&session(&rebuilt, &["fake"], &options).plan()), 0);
    cache.clear(None).unwrap();
    assert_eq!(runs_on(&session(&once, &["fake"], &options).plan()), 0);
}

#[test]
fn an_engine_spares_the_compilation() {
    let (cache, options) = with_cache("engines");
    let once = fake(&[("engines", "on"), ("fail", "refuse@2")]);
    let runs_on = |session: &Session| run(session, &input()).1.parts[0].target.to_string();
    assert_eq!(runs_on(&session(&once, &["fake"], &options)), "fake:gpu");
    assert_eq!(kinds(&cache), [Kind::Plan, Kind::Engine, Kind::Engine]);
    assert_eq!(runs_on(&session(&once, &["fake"], &options)), "fake:gpu");
    cache.clear(None).unwrap();
    assert_eq!(runs_on(&session(&once, &["fake"], &options)), "cpu");
}

/// A device that is said to be fast and takes milliseconds for every run.
const BOASTER: &[(&str, &str)] = &[("cost", "*=1"), ("launch_us", "4000"), ("memory_kind", "host")];

fn boasting() -> Options {
    let mut options = options();
    let said = Speeds {
        launch_ns: 1.0,
        node_ns: 1.0,
        ops_per_ns: 1e3,
        functions_per_ns: 1e3,
        bytes_per_ns: 1e3,
        ..Speeds::default()
    };
    options.speeds.insert("fake:gpu".to_owned(), said);
    options
}

#[test]
fn the_canary_keeps_what_is_fastest_in_real_runs() {
    let boaster = fake(BOASTER);
    let session = session(&boaster, &["auto"], &boasting());
    assert_eq!(&*run(&session, &input()).1.parts[0].target, "fake:gpu");
    let steps = [input().to_vec()];
    let trials = session.canary(None, &steps, &RunRequest::default()).unwrap();
    let told: Vec<(Vec<&str>, bool)> = trials
        .iter()
        .map(|trial| (trial.targets.iter().map(|name| &**name).collect(), trial.kept))
        .collect();
    assert_eq!(told, [(vec!["fake:gpu", "cpu"], false), (vec!["cpu"], true)]);
    assert!(trials[1].measured() < trials[0].measured());
    let (_, receipt) = run(&session, &input());
    assert_eq!((&*receipt.parts[0].target, receipt.plan), ("cpu", trials[1].plan));
    let ordered = self::session(&boaster, &["fake"], &options());
    let trials = ordered.canary(None, &steps, &RunRequest::default()).unwrap();
    assert!(trials.is_empty(), "the user's order decides: {trials:?}");
}

#[test]
fn a_later_session_keeps_what_was_fastest_without_trying_again() {
    let (cache, kept) = with_cache("trials");
    let options = Options { cache: kept.cache, ..boasting() };
    let boaster = fake(BOASTER);
    let begin = |options: &Options| session(&boaster, &["auto"], options);
    let try_once = |session: &Session| {
        let mut tried = false;
        let steps = || {
            tried = true;
            vec![input().to_vec()]
        };
        session.canary_once(None, steps, &RunRequest::default());
        tried
    };
    let first = begin(&options);
    assert!(first.trials().is_empty() && try_once(&first));
    assert_eq!(kinds(&cache), [Kind::Plan, Kind::Trials]);
    let again = begin(&options);
    assert_eq!((again.plan(), try_once(&again)), (first.plan(), false));
    assert_eq!(&*run(&again, &input()).1.parts[0].target, "cpu");
    let remembered =
        first.trials().iter().cloned().map(|trial| Trial { remembered: true, ..trial });
    assert_eq!(again.trials(), remembered.collect::<Vec<_>>());
    assert!(first.trials().iter().all(|trial| !trial.remembered));
    // Who does not want plans to be compared gets none that was found so.
    let believing = begin(&Options { canary: false, ..options.clone() });
    assert_eq!(&*run(&believing, &input()).1.parts[0].target, "fake:gpu");
    assert!(believing.trials().is_empty());
    // A contract may have ruled plans out, and speeds are part of the question.
    let contract = Contract { max_parts: Some(3), ..Contract::default() };
    assert!(try_once(&begin(&Options { contract, ..options.clone() })));
    let mut faster = options.clone();
    faster.speeds.values_mut().for_each(|speeds| speeds.launch_ns = 2_000.0);
    assert!(try_once(&begin(&faster)));
    cache.clear(Some(Kind::Trials)).unwrap();
    assert!(try_once(&begin(&options)));
}

#[test]
fn a_canary_over_caches_leaves_them_empty() {
    let boaster = fake(BOASTER);
    let windows = [None, Some(4)];
    let mut options = boasting();
    options.states = room(windows.len(), 3, false);
    let made = decoder(&mut Random::new(1), &windows);
    let session = Session::new(made.clone(), &select(&boaster, &["auto"]), &options).unwrap();
    let mut states = session.states().unwrap();
    let lists = [vec![3i64, 4], vec![0, 0], vec![0, 1]].map(|list| Val::from(Tensor::vector(list)));
    let next = [vec![5i64], vec![0], vec![2]].map(|list| Val::from(Tensor::vector(list)));
    let steps = [lists.to_vec(), next.to_vec()];
    let trials = session.canary(Some(&mut states), &steps, &RunRequest::default()).unwrap();
    assert_eq!(trials.iter().filter(|trial| trial.kept).count(), 1);
    assert_eq!(states.length(0), 0);
    let only_cpu = Selection::new(&["cpu"], &[], cpu()).unwrap();
    let oracle = Session::new(made, &only_cpu, &options).unwrap();
    let (mut got, mut want) = (Feeder::new(&session).unwrap(), Feeder::new(&oracle).unwrap());
    let step = vec![(0, vec![3, 4]), (2, vec![5])];
    assert!(crate::decoder::close(&got.step(&step).unwrap(), &want.step(&step).unwrap()));
}

#[test]
fn measured_parts_move_nodes_at_an_explicit_replan_only() {
    let boaster = fake(BOASTER);
    let session = session(&boaster, &["auto"], &boasting());
    assert!(!session.replan().unwrap(), "nothing was measured yet");
    for _ in 0..4 {
        assert_eq!(&*run(&session, &input()).1.parts[0].target, "fake:gpu");
    }
    assert!(session.replan().unwrap());
    assert_eq!(&*run(&session, &input()).1.parts[0].target, "cpu");
}

#[test]
fn measured_speeds_price_what_nobody_states() {
    let silent = fake(&[]);
    let target = Target::all_of(&silent).unwrap().remove(0);
    let speeds = Speeds::measure(&target, NEWEST_OPSET).unwrap();
    assert!(speeds.upload.is_some() && speeds.download.is_some());
    assert!(Speeds::measure(&cpu(), NEWEST_OPSET).unwrap().upload.is_none());
    let mut options = options();
    options.speeds.insert("fake:gpu".to_owned(), Speeds { launch_ns: 77_700.0, ..speeds });
    let plan = session(&silent, &["fake"], &options).plan();
    let part = &plan.classes[0].parts[0];
    assert_eq!((part.launch_ns, part.source.as_str()), (77_700, "modelled"));
    assert!(plan.classes[0].transfers.iter().all(|copy| copy.source.as_str() == "measured"));
}
