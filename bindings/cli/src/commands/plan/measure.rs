//! Runs a model to see how long its plan really takes, in turns with a rival's.

use std::time::{Duration, Instant};

use remuda::{LanguageModel, Model, RunOptions, Value};

use super::{Loaded, PlanArgs};
use crate::failure::Failure;

/// What runs of one shape class took, in milliseconds: medians.
#[derive(Debug)]
pub(super) struct Measured {
    /// The place of the class in the plan.
    pub(super) class: usize,
    /// Per part; nothing where parts are not told apart.
    pub(super) parts: Vec<f64>,
    pub(super) whole: f64,
}

/// What the runs of two models took; nothing if none were asked for.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) own: Vec<Measured>,
    pub(super) rival: Vec<Measured>,
}

/// Tokens that are generated to measure a step of one.
const GENERATED: usize = 16;

/// One run of one class.
struct Sample {
    class: usize,
    parts: Vec<Duration>,
    whole: Duration,
}

/// Runs a model and its rival as often as the arguments say, after a run of each that is not counted.
pub(super) fn side_by_side(
    args: &PlanArgs,
    model: &Loaded,
    rival: Option<&Loaded>,
) -> Result<Times, Failure> {
    let Some(runs) = args.measure else { return Ok(Times::default()) };
    let values = match model {
        Loaded::Graph(model) => args.inputs.or_random(model)?,
        Loaded::Language(_) => Vec::new(),
    };
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=runs.max(1) {
        let sample = sample(model, &values, round)?;
        let other = rival.map(|rival| self::sample(rival, &values, round)).transpose()?;
        if round > 0 {
            own.extend(sample);
            theirs.extend(other.unwrap_or_default());
        }
    }
    Ok(Times { own: medians(&own), rival: medians(&theirs) })
}

/// A run of every class.
fn sample(
    model: &Loaded,
    values: &[(String, Value)],
    round: usize,
) -> Result<Vec<Sample>, Failure> {
    match model {
        Loaded::Graph(model) => Ok(vec![run(model, values)?]),
        Loaded::Language(model) => generate(model, round),
    }
}

fn run(model: &Model, values: &[(String, Value)]) -> Result<Sample, Failure> {
    let receipt = model.run_with(values.to_vec(), &RunOptions::default())?.receipt;
    let parts = receipt.parts.iter().map(|part| part.time).collect();
    Ok(Sample { class: 0, parts, whole: receipt.time })
}

/// A prompt as long as a step may be, and the tokens behind it: the first class of a language model is
/// steps of few tokens, the second those of many.
fn generate(model: &LanguageModel, round: usize) -> Result<Vec<Sample>, Failure> {
    let budget = model.budget();
    let length = budget.step_tokens.min(budget.context.saturating_sub(GENERATED + 1)).max(1);
    let vocabulary = model.info().vocabulary;
    // Each prompt begins otherwise, so that none is known from the one before.
    let token = |at: usize| u32::try_from((at + round + 1) % vocabulary).unwrap_or(0);
    let next = token(0);
    let started = Instant::now();
    let mut times = Vec::with_capacity(GENERATED);
    let mut generation = model.generate(
        (0..length).map(token).collect(),
        Some(GENERATED),
        Box::new(move |_| Some(next)),
    )?;
    for made in generation.by_ref() {
        made?;
        times.push(started.elapsed());
    }
    let steps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let of_class = |class, whole| Sample { class, parts: Vec::new(), whole };
    let mut samples: Vec<Sample> = steps.into_iter().map(|step| of_class(0, step)).collect();
    let classes = model.placement().classes.len();
    samples.extend(times.first().filter(|_| classes > 1).map(|&first| of_class(1, first)));
    Ok(samples)
}

/// The medians of each class.
fn medians(samples: &[Sample]) -> Vec<Measured> {
    let classes = samples.iter().map(|sample| sample.class + 1).max().unwrap_or(0);
    let of_class = |class: usize| {
        let own: Vec<&Sample> = samples.iter().filter(|sample| sample.class == class).collect();
        let parts = own.last().map_or(0, |sample| sample.parts.len());
        let part = |at: usize| median(own.iter().filter_map(|sample| sample.parts.get(at)));
        Measured {
            class,
            parts: (0..parts).map(part).collect(),
            whole: median(own.iter().map(|sample| &sample.whole)),
        }
    };
    (0..classes).map(of_class).collect()
}

/// The median in milliseconds.
fn median<'t>(times: impl Iterator<Item = &'t Duration>) -> f64 {
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
