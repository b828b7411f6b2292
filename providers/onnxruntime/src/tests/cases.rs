//! Every case of every operator whose node the library takes, compared with the reference kernels.

use remuda_host::Answer;
use remuda_ops::cases::{Case, Check, compare, parse};
use remuda_ops::{Ops, TABLE, interpret};
use remuda_sdk::ir::{OpDef, infer_graph, verify};

use super::{answers, provider, run};

/// Cases of which ONNX leaves open what comes out, by operator and a part of the line: providers may
/// differ there.
const OPEN: &[(&str, &str)] = &[
    // Floats beyond the range of the integer, and NaN.
    ("Cast", "f32[5] 1.9 -1.9 nan 1e30 -inf"),
    ("Cast", "{to = 22} : f32[4] -9 7.9 8 nan"),
    // Sums, products and powers of integers beyond their range.
    ("Pow", "i32[3] 2 -3 2"),
    ("ReduceProd", "65536 65536 3"),
    ("ReduceSum", "2147483647 1"),
    ("ReduceSumSquare", ": i32["),
    // The larger of a number and NaN.
    ("ReduceMax", "f32[2] 1 nan"),
    ("ReduceMin", "f32[2] 1 nan"),
    ("TopK", "f32[5] 1 nan 3 nan 2"),
    // A place in an image that is NaN; NaN beside a threshold.
    ("GridSample", "-9 0 nan 0"),
    ("Binarizer", "0.5 nan"),
    // One key twice.
    ("LabelEncoder", "ints[1, 1]"),
    // Sizes that are not known before the run, and change the first axes: the run goes on elsewhere.
    ("Resize", "f32[a, b, 5, 6], _, _, i64[4] 2 3 9 4"),
    // Reflected more often than there are elements: the run fails, and goes on elsewhere.
    ("Pad", "{mode = \"reflect\"} : i64[3] 1 2 3, i64[2] 2 3"),
];

fn is_open(def: &OpDef, case: &Case) -> bool {
    let line = def.cases.lines().nth(case.line - 1).unwrap_or_default();
    OPEN.iter().any(|(op, part)| *op == def.name && line.contains(part))
}

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
            if is_open(def, &case) {
                continue;
            }
            match check(&provider, def, &case) {
                End::Agrees => agreeing += 1,
                End::Refused => refused += 1,
                End::Failed(text) => {
                    differing.push(format!("{} line {} fails: {text}", def.name, case.line));
                }
                End::Differs(text) => {
                    differing.push(format!("{} line {}: {text}", def.name, case.line));
                }
            }
        }
    }
    println!("{agreeing} cases agree, {refused} are not taken");
    assert!(differing.is_empty(), "{} cases differ:\n{}", differing.len(), differing.join("\n"));
    assert!(agreeing > 800, "only {agreeing} cases were taken");
}
