//! Every case of every operator whose node the library takes, compared with the reference kernels.

use remuda_host::Answer;
use remuda_ops::cases::try_all;

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

#[test]
fn every_case_that_is_taken_agrees_with_the_reference() {
    let Some(provider) = provider() else { return };
    let tally = try_all(OPEN, |trial| {
        let answers = answers(&provider, &trial.graph);
        let is_taken = answers.iter().all(|answer| matches!(answer, Answer::Yes(_)));
        is_taken.then(|| {
            run(&provider, &trial.graph, &trial.inputs).map_err(|failure| failure.to_string())
        })
    });
    println!("{} cases agree, {} are not taken", tally.agreeing, tally.refused);
    let differing = tally.differing;
    assert!(differing.is_empty(), "{} cases differ:\n{}", differing.len(), differing.join("\n"));
    assert!(tally.agreeing > 800, "only {} cases were taken", tally.agreeing);
}
