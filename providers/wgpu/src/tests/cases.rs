//! Every case of every operator whose node is taken, compared with the reference kernels.

use remuda_host::Answer;
use remuda_ops::cases::{Case, Check, compare, parse};
use remuda_ops::{Ops, TABLE, interpret};
use remuda_sdk::ir::{OpDef, infer_graph, verify};

use super::{answers, provider, run};

/// What became of a case.
enum End {
    Agrees,
    Refused,
    /// It was taken and the run failed: the host then goes on elsewhere.
    Failed(String),
    Differs(String),
}

fn check(provider: &remuda_host::Provider, def: &OpDef, case: &Case) -> End {
    let mut graph = case.graph.clone();
    if verify(&graph, &Ops).is_err() || infer_graph(&mut graph, &Ops).is_err() {
        return End::Refused;
    }
    let (inputs, want) = match &case.check {
        Check::Run(inputs, want) => (inputs, want.clone()),
        Check::Generated(inputs) => match interpret(&graph, inputs) {
            Ok(want) => (inputs, want.into_iter().map(Some).collect()),
            Err(error) => return End::Differs(format!("the reference fails: {error}")),
        },
        Check::Error(..) | Check::Infer(_) => return End::Refused,
    };
    if answers(provider, &graph).iter().any(|answer| !matches!(answer, Answer::Yes(_))) {
        return End::Refused;
    }
    let got = match run(provider, &graph, inputs) {
        Ok(got) => got,
        Err(failure) => return End::Failed(failure.to_string()),
    };
    let compared = got
        .iter()
        .zip(want.iter().flatten())
        .try_for_each(|(got, want)| compare(def.tolerance, got, want));
    compared.map_or_else(End::Differs, |()| End::Agrees)
}

#[test]
fn every_case_that_is_taken_agrees_with_the_reference() {
    let Some(provider) = provider() else { return };
    let (mut agreeing, mut refused, mut differing) = (0, 0, Vec::new());
    for def in TABLE {
        for case in parse(def).expect("cases parse") {
            let line = def.cases.lines().nth(case.line - 1).unwrap_or_default();
            match check(&provider, def, &case) {
                End::Agrees => agreeing += 1,
                End::Refused => refused += 1,
                End::Failed(text) => {
                    differing
                        .push(format!("{} line {} fails: {text}\n    {line}", def.name, case.line));
                }
                End::Differs(text) => {
                    differing.push(format!("{} line {}: {text}\n    {line}", def.name, case.line));
                }
            }
        }
    }
    println!("{agreeing} cases agree, {refused} are not taken");
    assert!(differing.is_empty(), "{} cases differ:\n{}", differing.len(), differing.join("\n"));
    assert!(agreeing > 150, "only {agreeing} cases were taken");
}
