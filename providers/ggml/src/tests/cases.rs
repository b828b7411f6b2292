//! Every case of every operator whose node is taken, compared with the reference kernels.

use remuda_host::Answer;
use remuda_ops::cases::try_all;

use super::{answers, provider, run};

/// Cases in which ggml differs, by operator and a part of the line, with the reason.
const KNOWN: &[(&str, &str)] = &[
    // A NaN comes out as a number.
    ("Clip", "0.5 nan"),
    ("LeakyRelu", "-4 nan"),
    ("Relu", "2 nan"),
    ("Sign", "2 nan"),
    // Rows are rounded to the format of the weights.
    ("Linear", "f16[c, 40]"),
    ("Linear", "bf16[c, 64]"),
    // Queries are rounded to the format of the cache: `caches` compares these within its own bounds.
    ("CachedAttention", "kv_cache(f16, 2, 32, 64, 3)"),
    ("CachedAttention", "kv_cache(q8_0"),
    ("CachedAttention", "kv_cache(q4_0"),
];

#[test]
fn every_case_that_is_taken_agrees_with_the_reference() {
    let Some(provider) = provider() else { return };
    let tally = try_all(KNOWN, |trial| {
        let answers = answers(&provider, &trial.graph);
        let is_taken = answers.iter().all(|answer| matches!(answer, Answer::Yes(_)));
        is_taken.then(|| {
            run(&provider, &trial.graph, &trial.inputs).map_err(|failure| failure.to_string())
        })
    });
    println!("{} cases agree, {} are not taken", tally.agreeing, tally.refused);
    let differing = tally.differing;
    assert!(differing.is_empty(), "{} cases differ:\n{}", differing.len(), differing.join("\n"));
    assert!(tally.agreeing > 150, "only {} cases were taken", tally.agreeing);
}
