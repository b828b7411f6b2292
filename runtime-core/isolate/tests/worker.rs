//! Providers in worker processes: the same answers, and whoever is killed is a lost device.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set itself up has failed"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use remuda_host::process::{Job, Prober};
use remuda_host::{Answer, Failure, GraphExport, Program, Provider, RunOptions, Table};
use remuda_ir::{Graph, StateType, Val, infer_graph, text};
use remuda_isolate::{BuiltIn, Isolated, Source};
use remuda_ops::{NEWEST_OPSET, Ops, interpret};
use remuda_tensor::{DType, Tensor};

/// So often a worker is killed while it runs.
const KILLS: usize = 50;

fn linked() -> [BuiltIn; 2] {
    [("fake", remuda_fake::table()), ("cpu", remuda_cpu::table())]
}

/// Not a test: the worker process of the others.
#[test]
#[ignore = "the worker process of the other tests"]
fn worker_process() {
    let job = Job::receive().unwrap();
    assert!(remuda_isolate::serve(&job, &linked()));
}

fn open(name: &str, options: &[(&str, &str)]) -> Provider {
    let arguments = ["worker_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let program = std::env::current_exe().unwrap();
    let prober = Prober { program, arguments: arguments.map(Into::into).to_vec() };
    let (key, spec) = Isolated::new(Source::BuiltIn(name.to_owned()), &prober).option();
    let table = Table::linked(remuda_isolate::table(name, "1")).unwrap();
    let options = [options, &[(key.as_str(), spec.as_str())]].concat();
    Provider::open(table, 1, &options).unwrap()
}

fn graph() -> Graph {
    let source = "graph \"g\" {\n  input %x: f32[n]\n  const %w: f32[1] = x00000040\n  %y = Mul(%x, %w)\n  %b = Greater(%y, %w)\n  output %y\n  output %b\n}";
    let mut graph = text::parse(source).unwrap();
    infer_graph(&mut graph, &Ops).unwrap();
    graph
}

fn input() -> Val {
    Tensor::vector((0..5000u16).map(f32::from).collect::<Vec<_>>()).into()
}

fn compile(provider: &Provider) -> Program {
    provider.compile(0, graph(), NEWEST_OPSET).unwrap()
}

/// The processes that this one started.
fn children() -> Vec<u32> {
    let me = std::process::id().to_string();
    let parent = |stat: &str| stat.rsplit(") ").next()?.split(' ').nth(1).map(str::to_owned);
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|number| {
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            parent(&stat).as_deref() == Some(&me)
        })
        .collect()
}

fn left_behind() -> usize {
    let folder = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let own = |name: &str| {
        let mine = format!("remuda-isolated-{}-", std::process::id());
        name.starts_with(&mine)
    };
    folder.filter(|entry| entry.file_name().to_str().is_some_and(own)).count()
}

/// One test: it counts the processes and files of this process.
#[test]
fn workers_answer_run_and_may_die() {
    answers_are_those_of_the_provider();
    results_are_those_of_the_provider();
    states_live_in_the_worker();
    a_run_that_is_called_off_ends();
    a_worker_that_does_not_stop_is_ended();
    for round in 0..KILLS {
        a_killed_worker_is_a_lost_device(round);
    }
    assert_eq!(children(), Vec::<u32>::new());
    assert_eq!(left_behind(), 0);
}

fn answers_are_those_of_the_provider() {
    let provider = open("fake", &[("ops", "all,-Greater"), ("cost", "Mul=700")]);
    assert_eq!((provider.name().as_str(), provider.version().as_str()), ("fake", "1"));
    let [device] = &provider.devices().unwrap()[..] else { panic!("one device") };
    assert_eq!((device.kind.as_str(), device.host_memory), ("gpu", false));
    let answers = provider.query(0, &GraphExport::new(graph(), NEWEST_OPSET), 2).unwrap();
    assert!(matches!(answers[0], Answer::Yes(price) if price.nanoseconds == 700.0));
    assert!(matches!(&answers[1], Answer::No { code, .. } if code == "op-unsupported"));
    let failure = provider.compile(0, graph(), NEWEST_OPSET).unwrap_err();
    assert!(matches!(failure, Failure::Unsupported { node: Some(1), .. }), "{failure}");
}

fn results_are_those_of_the_provider() {
    let provider = open("fake", &[]);
    let program = compile(&provider);
    let want = interpret(&graph(), &[input()]).unwrap();
    for _ in 0..3 {
        assert_eq!(program.run(&[input()], &RunOptions::default()).unwrap(), want);
    }
    drop((program, provider));
    assert_eq!(children(), Vec::<u32>::new());
}

fn states_live_in_the_worker() {
    let provider = open("cpu", &[]);
    let ty = StateType { dtype: DType::F32, heads: 1, key_dim: 2, value_dim: 1, window: None };
    let mut state = provider.create_state(0, &ty, 2, 64).unwrap();
    let positions: Vec<f32> = (0..30u8).map(f32::from).collect();
    state.import(0, &positions).unwrap();
    state.copy(0, 1, 4).unwrap();
    state.truncate(0, 3).unwrap();
    assert_eq!((state.length(0).unwrap(), state.length(1).unwrap()), (3, 4));
    assert_eq!(state.export(1, 1..4).unwrap(), positions[3..12]);
    assert!(state.truncate(0, 9).is_err());
    signal("-KILL");
    let lost = |ended: Failure| assert!(matches!(ended, Failure::DeviceLost(_)), "{ended}");
    lost(state.length(0).unwrap_err());
    lost(state.truncate(0, 1).unwrap_err());
    lost(state.copy(0, 1, 1).unwrap_err());
    lost(state.import(0, &positions).unwrap_err());
    lost(state.export(1, 1..4).unwrap_err());
}

fn a_run_that_is_called_off_ends() {
    let provider = open("fake", &[("fail", "hang@1")]);
    let program = compile(&provider);
    let cancel = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
            program.run(&[input()], &options)
        });
        std::thread::sleep(Duration::from_millis(50));
        cancel.store(true, Ordering::Relaxed);
        run.join().unwrap()
    });
    assert_eq!(ended, Err(Failure::Cancelled));
    program.run(&[input()], &RunOptions::default()).unwrap();
}

/// A worker that is stopped cannot end a call: it is ended, and the call is a lost device.
fn a_worker_that_does_not_stop_is_ended() {
    let provider = open("fake", &[]);
    let program = compile(&provider);
    signal("-STOP");
    let stopped = |child: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.contains(") T ")
    };
    while !children().into_iter().all(stopped) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let cancel = AtomicBool::new(true);
    let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
    let failure = program.run(&[input()], &options).unwrap_err();
    assert_eq!(failure, Failure::DeviceLost("its process hung and was ended".to_owned()));
}

fn signal(name: &str) {
    for child in children() {
        let sent = std::process::Command::new("kill").args([name, &child.to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

fn a_killed_worker_is_a_lost_device(round: usize) {
    let provider = open("fake", &[("launch_us", "20000")]);
    let program = compile(&provider);
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            loop {
                match program.run(&[input()], &RunOptions::default()) {
                    Ok(outputs) => assert_eq!(outputs.len(), 2),
                    Err(failure) => return failure,
                }
            }
        });
        std::thread::sleep(Duration::from_millis(5 + 3 * round as u64 % 40));
        signal("-KILL");
        run.join().unwrap()
    });
    let Failure::DeviceLost(fate) = &ended else { panic!("{ended}") };
    assert_eq!(fate, "its process ended: signal 9 (SIGKILL, perhaps for want of memory)");
    let again = program.run(&[input()], &RunOptions::default()).unwrap_err();
    assert_eq!(again, ended);
    let unusable = provider.devices().unwrap()[0].unusable.clone();
    assert_eq!(unusable.as_deref(), Some(fate.as_str()));
}
