//! Every case of every operator on the CPU provider, compared with the reference kernels: with each
//! instruction set that this machine has, on one thread and on two.

use std::sync::Arc;

use remuda_cpu::{PagedCache, Program, RunOptions, Settings};
use remuda_ir::{Def, OpDef, Val, ValueType, infer_graph, verify};
use remuda_kernels::ThreadPool;
use remuda_ops::cases::{Case, Check, compare, parse};
use remuda_ops::{Ops, TABLE, interpret};
use remuda_simd::Isa;

fn run(case: &Case, inputs: &[Val], settings: &Settings) -> Result<Vec<Val>, String> {
    let mut graph = case.graph.clone();
    verify(&graph, &Ops).map_err(|error| error.to_string())?;
    infer_graph(&mut graph, &Ops).map_err(|error| error.to_string())?;
    let program = Program::new(&graph, settings).map_err(|error| error.to_string())?;
    let states = graph.values().filter_map(|(_, value)| match (&value.def, &value.ty) {
        (Def::State, Some(ValueType::State(ty))) => Some(PagedCache::shared(ty, 16, 256)),
        _ => None,
    });
    let states: Vec<_> = states.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let options = RunOptions { states: &states, ..RunOptions::default() };
    program.run(inputs.to_vec(), &options).map_err(|error| error.to_string())
}

fn check(def: &OpDef, case: &Case, settings: &Settings) -> Result<(), String> {
    match &case.check {
        Check::Run(inputs, want) => {
            let got = run(case, inputs, settings)?;
            got.iter()
                .zip(want.iter().flatten())
                .try_for_each(|(got, want)| compare(def.tolerance, got, want))
        }
        Check::Generated(inputs) => {
            let want = interpret(&case.graph, inputs).map_err(|error| error.to_string())?;
            let got = run(case, inputs, settings)?;
            got.iter().zip(&want).try_for_each(|(got, want)| compare(def.tolerance, got, want))
        }
        Check::Error(inputs, _) => match run(case, inputs, settings) {
            Ok(got) => Err(format!("expected an error, got {got:?}")),
            Err(_) => Ok(()),
        },
        Check::Infer(_) => Ok(()),
    }
}

#[test]
fn every_case_agrees_with_the_reference() {
    let mut failures = Vec::new();
    for threads in [1, 2] {
        let pool = Arc::new(ThreadPool::new(threads).expect("threads"));
        for isa in Isa::available() {
            let settings = Settings { pool: Arc::clone(&pool), isa, fast: true, packs: true };
            for def in TABLE {
                for case in parse(def).expect("cases parse") {
                    if let Err(error) = check(def, &case, &settings) {
                        failures.push(format!(
                            "{} line {} on {isa}, {threads} threads: {error}",
                            def.name, case.line
                        ));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}

/// The case with its inputs but the first as constants, which kernels may pack in advance.
fn with_constant_weights(mut case: Case) -> Case {
    let (Check::Run(inputs, _) | Check::Generated(inputs) | Check::Error(inputs, _)) =
        &mut case.check
    else {
        return case;
    };
    let given = inputs.split_off(inputs.len().min(1));
    let ids = case.graph.inputs.split_off(inputs.len());
    for (id, input) in ids.into_iter().zip(given) {
        match input {
            Val::Tensor(tensor) => {
                case.graph.set_const(id, tensor);
            }
            other => {
                case.graph.inputs.push(id);
                inputs.push(other);
            }
        }
    }
    case
}

#[test]
fn packed_weights_agree_with_the_reference() {
    let mut failures = Vec::new();
    let pool = Arc::new(ThreadPool::new(2).expect("threads"));
    for (isa, packs) in Isa::available().into_iter().flat_map(|isa| [(isa, true), (isa, false)]) {
        let settings = Settings { pool: Arc::clone(&pool), isa, fast: true, packs };
        for def in TABLE {
            for case in parse(def).expect("cases parse").into_iter().map(with_constant_weights) {
                if let Err(error) = check(def, &case, &settings) {
                    let how = if packs { "packed" } else { "as given" };
                    failures
                        .push(format!("{} line {} on {isa}, {how}: {error}", def.name, case.line));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}
