//! `remuda run` of a language model: one answer, as it comes.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use remuda::{DType, LanguageModel, LanguageOptions, Sampling};

use super::{BackendArgs, bytes_text};
use crate::cancel;
use crate::failure::Failure;

/// Arguments of `remuda run` that concern language models.
#[derive(Debug, clap::Args)]
pub(super) struct LanguageArgs {
    /// For a language model: the text to go on from [default: standard input]
    prompt: Option<String>,
    /// The most tokens to generate [default: as many as the context has room for]
    #[arg(short = 'n', long = "predict", alias = "n-predict", value_name = "N")]
    predict: Option<usize>,
    /// Temperature; 0 always takes the likeliest token
    #[arg(long, value_name = "T", default_value_t = 0.8)]
    temp: f32,
    /// Seed of the random choices
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Positions of a sequence; 0 for as many as the model was made for
    #[arg(short = 'c', long = "ctx-size", value_name = "N", default_value_t = 0)]
    ctx_size: usize,
    /// How keys and values are cached: `f32`, `f16`, `bf16`, `q8_0` or `q4_0`
    #[arg(long = "cache-type", value_name = "TYPE", default_value = "f16")]
    cache: String,
    /// Print timings at the end
    #[arg(long)]
    verbose: bool,
}

/// Answers.
pub(super) fn run(
    path: &Path,
    args: &LanguageArgs,
    (backends, threads): (&BackendArgs, Option<usize>),
) -> Result<(), Failure> {
    let cache = DType::from_name(&args.cache).ok_or_else(|| Failure::Usage {
        message: format!("there is no element type `{}`", args.cache),
        hint: Some("expected f32, f16, bf16, q8_0 or q4_0".to_owned()),
    })?;
    let context = Some(args.ctx_size).filter(|&size| size > 0);
    let options = LanguageOptions { context, cache, ..LanguageOptions::default() };
    let runtime = backends.runtime(threads)?;
    let model =
        runtime.load_language(path, &options).map_err(|error| Failure::loading(path, error))?;
    eprintln!("{}", first_line(&model));
    let prompt = match &args.prompt {
        Some(prompt) => prompt.clone(),
        None => standard_input()?,
    };
    let sampling = Sampling {
        temperature: args.temp,
        seed: args.seed.unwrap_or_else(random_seed),
        ..Sampling::default()
    };
    let started = std::time::Instant::now();
    let mut answer = model.answer(&prompt, args.predict, sampling)?;
    let mut out = std::io::stdout().lock();
    let told = |source| Failure::File { action: "write", path: "standard output".into(), source };
    for piece in &mut answer {
        if cancel::flag().load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        out.write_all(piece?.as_bytes()).and_then(|()| out.flush()).map_err(told)?;
    }
    writeln!(out).map_err(told)?;
    if let (true, Some(usage)) = (args.verbose, answer.usage()) {
        let seconds = started.elapsed().as_secs_f64();
        eprintln!(
            "{} prompt tokens ({} reused), {} generated, {seconds:.2} s",
            usage.prompt, usage.reused, usage.generated
        );
    }
    Ok(())
}

/// What a person wants to know before the answer comes.
fn first_line(model: &LanguageModel) -> String {
    let (info, budget, memory) = (model.info(), model.budget(), model.memory());
    format!(
        "{} {:.1}M {} · CPU {} threads · ctx {} of {} ({} of {}) · weights {}",
        info.architecture,
        info.parameters as f64 / 1e6,
        info.dtype,
        model.threads(),
        budget.context,
        info.context,
        bytes_text(memory.cache_bytes),
        info.states.first().map_or("f16", |state| state.dtype.name()),
        bytes_text(memory.weight_bytes)
    )
}

fn standard_input() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        return Err(Failure::Usage {
            message: "there is no prompt".to_owned(),
            hint: Some("remuda run MODEL \"PROMPT\", or give it on standard input".to_owned()),
        });
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|source| Failure::File { action: "read", path: "standard input".into(), source })?;
    Ok(text)
}

/// A seed that differs from run to run.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
