//! Every case of every operator on the CPU provider, compared with the reference kernels: with each
//! instruction set that this machine has, on one thread and on two.

use std::sync::Arc;

use remuda_cpu::{PagedCache, Program, RunOptions, Settings};
use remuda_ir::{Def, Val, ValueType};
use remuda_kernels::ThreadPool;
use remuda_ops::TABLE;
use remuda_ops::cases::{Check, Trial, parse};
use remuda_simd::Isa;

/// Every case that runs, with its operator and line.
fn trials() -> Vec<(String, Trial)> {
    let mut trials = Vec::new();
    for def in TABLE {
        for case in parse(def).expect("cases parse") {
            let name = format!("{} line {}", def.name, case.line);
            match Trial::new(def, &case) {
                Ok(trial) => trials.extend(trial.map(|trial| (name, trial))),
                Err(error) => assert!(matches!(case.check, Check::Error(..)), "{name}: {error}"),
            }
        }
    }
    trials
}

fn run(trial: &Trial, settings: &Settings) -> Result<Vec<Val>, String> {
    let graph = &trial.graph;
    let program = Program::new(graph, settings).map_err(|error| error.to_string())?;
    let states = graph.values().filter_map(|(_, value)| match (&value.def, &value.ty) {
        (Def::State, Some(ValueType::State(ty))) => Some(PagedCache::shared(ty, 16, 256)),
        _ => None,
    });
    let states: Vec<_> = states.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let options = RunOptions { states: &states, ..RunOptions::default() };
    program.run(trial.inputs.clone(), &options).map_err(|error| error.to_string())
}

fn check(trial: &Trial, settings: &Settings) -> Result<(), String> {
    match run(trial, settings) {
        Err(_) if trial.want.is_none() => Ok(()),
        got => trial.judge(&got?),
    }
}

#[test]
fn every_case_agrees_with_the_reference() {
    let trials = trials();
    let mut failures = Vec::new();
    for threads in [1, 2] {
        let pool = Arc::new(ThreadPool::new(threads).expect("threads"));
        for isa in Isa::available() {
            let settings =
                Settings { pool: Arc::clone(&pool), isa, fast: true, packs: true, kept: None };
            for (name, trial) in &trials {
                if let Err(error) = check(trial, &settings) {
                    failures.push(format!("{name} on {isa}, {threads} threads: {error}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn packed_weights_agree_with_the_reference() {
    let trials: Vec<_> = trials()
        .into_iter()
        .filter_map(|(name, trial)| Some((name, trial.with_constants()?)))
        .collect();
    let mut failures = Vec::new();
    let pool = Arc::new(ThreadPool::new(2).expect("threads"));
    for (isa, packs) in Isa::available().into_iter().flat_map(|isa| [(isa, true), (isa, false)]) {
        let settings = Settings { pool: Arc::clone(&pool), isa, fast: true, packs, kept: None };
        for (name, trial) in &trials {
            if let Err(error) = check(trial, &settings) {
                let how = if packs { "packed" } else { "as given" };
                failures.push(format!("{name} on {isa}, {how}: {error}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}
