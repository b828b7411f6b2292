//! Every case of every operator whose node is taken, compared with the reference kernels.

use remuda_host::Answer;
use remuda_ops::cases::try_all;

use super::{answers, provider, run};

#[test]
fn every_case_that_is_taken_agrees_with_the_reference() {
    let Some(provider) = provider() else { return };
    let tally = try_all(&[], |trial| {
        let answers = answers(&provider, &trial.graph);
        let is_taken = answers.iter().all(|answer| matches!(answer, Answer::Yes(_)));
        is_taken.then(|| {
            run(&provider, &trial.graph, &trial.inputs).map_err(|failure| failure.to_string())
        })
    });
    println!("{} cases agree, {} are not taken", tally.agreeing, tally.refused);
    let differing = tally.differing;
    assert!(differing.is_empty(), "{} cases differ:\n{}", differing.len(), differing.join("\n"));
    assert!(tally.agreeing > 300, "only {} cases were taken", tally.agreeing);
}
