//! `remuda run` of a language model: one answer as it comes, or a chat.

mod answer;
mod chat;
mod sampling;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use remuda::text::Chat;
use remuda::{Builder, DType, LanguageModel, LanguageOptions, StepFailover};
use serde_json::json;

use self::answer::{print, print_json, timings};
use self::sampling::SamplingArgs;
use super::{BackendArgs, bytes_text, failover_json, one_line, warn};
use crate::cancel;
use crate::failure::Failure;

/// How a language model is loaded.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Language models")]
pub(super) struct LoadArgs {
    /// Positions of a sequence; 0 for as many as the model was made for
    #[arg(short = 'c', long = "ctx-size", value_name = "N", default_value_t = 0)]
    ctx_size: usize,
    /// Tokens of one step: the pieces that a long prompt is cut into
    #[arg(short = 'u', long = "ubatch-size", value_name = "N", default_value_t = 512)]
    ubatch_size: usize,
    /// Run tokens along that are likely to follow because they did before: faster where a text copies
    #[arg(long)]
    lookup: bool,
    /// How keys and values are cached: `f32`, `f16`, `bf16`, `q8_0` or `q4_0`
    #[arg(long = "cache-type", value_name = "TYPE", default_value = "f16")]
    cache: String,
    /// Add a LoRA adapter in a GGUF file, so many times as much as it says itself; may be repeated
    #[arg(long = "lora", value_name = "FILE[=SCALE]", value_parser = adapter)]
    adapters: Vec<(PathBuf, f64)>,
    /// Let a smaller model with the same vocabulary guess tokens; it pauses while that costs time
    #[arg(long = "draft-model", alias = "model-draft", value_name = "FILE")]
    draft: Option<PathBuf>,
    /// The same seed gives the same answer whatever else runs, on any number of threads; on the CPU
    #[arg(long)]
    deterministic: bool,
    /// Multiply with weights as they are in the file: slower, and without a copy of them in memory
    #[arg(long)]
    no_repack: bool,
}

fn adapter(text: &str) -> Result<(PathBuf, f64), String> {
    let scaled: Option<(&str, f64)> =
        text.rsplit_once('=').and_then(|(path, scale)| Some((path, scale.parse().ok()?)));
    match scaled.unwrap_or((text, 1.0)) {
        (path, scale) if !path.is_empty() && scale.is_finite() => Ok((path.into(), scale)),
        _ => Err("expected a file, or a file and a number: `adapter.gguf=0.5`".to_owned()),
    }
}

/// Arguments of `remuda run` that concern language models.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Language models")]
pub(super) struct LanguageArgs {
    /// For a language model: the question [default: standard input, or a chat at a terminal]
    #[arg(help_heading = "Arguments")]
    prompt: Option<String>,
    /// The most tokens to generate [default: as many as the context has room for]
    #[arg(short = 'n', long = "predict", alias = "n-predict", value_name = "N")]
    predict: Option<usize>,
    /// What the model is told before the conversation
    #[arg(long = "system-prompt", alias = "system", value_name = "TEXT")]
    system: Option<String>,
    /// Go on from the text as it is, without the chat template
    #[arg(long, alias = "no-conversation")]
    raw: bool,
    /// Print timings at the end
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
}

impl LanguageArgs {
    /// Whether there is a prompt.
    pub(super) fn has_prompt(&self) -> bool {
        self.prompt.is_some()
    }
}

impl LoadArgs {
    /// Loads a model.
    pub(super) fn load(
        &self,
        path: &Path,
        (backends, threads): (&BackendArgs, Option<usize>),
    ) -> Result<LanguageModel, Failure> {
        let runtime = self.builder((backends, threads)).build()?;
        let loaded = runtime.load_language(path, &self.options()?);
        let model = loaded.map_err(|error| Failure::loading(path, error))?;
        warn(&model.placement_warnings());
        Ok(model)
    }

    /// The makings of the runtime to load it with.
    pub(super) fn builder(&self, (backends, threads): (&BackendArgs, Option<usize>)) -> Builder {
        backends.builder(threads).repack(!self.no_repack)
    }

    /// What the arguments say.
    pub(super) fn options(&self) -> Result<LanguageOptions, Failure> {
        let cache = DType::from_name(&self.cache).ok_or_else(|| {
            let message = format!("there is no element type `{}`", self.cache);
            Failure::usage_hint(message, "expected f32, f16, bf16, q8_0 or q4_0")
        })?;
        let context = Some(self.ctx_size).filter(|&size| size > 0);
        Ok(LanguageOptions {
            context,
            cache,
            step_tokens: self.ubatch_size,
            lookup: self.lookup,
            adapters: self.adapters.clone(),
            draft: self.draft.clone(),
            deterministic: self.deterministic,
            ..LanguageOptions::default()
        })
    }
}

/// Answers; with `json` a prompt alone, as one object.
pub(super) fn run(
    path: &Path,
    args: &LanguageArgs,
    setup: (&BackendArgs, Option<usize>),
    json: bool,
) -> Result<(), Failure> {
    let ask = args.sampling.ask(args.predict)?;
    let chats = args.prompt.is_none() && std::io::stdin().is_terminal();
    if chats && json {
        let hint = "give a prompt, or text on standard input";
        return Err(Failure::usage_hint("a chat cannot be printed as JSON", hint));
    }
    let model = args.load.load(path, setup)?;
    noteln!("{}", first_line(&model));
    let templated =
        if chats { !model.reads_prompts_apart() } else { !args.raw && model.template()?.is_some() };
    if args.system.is_some() && !templated {
        let hint = "put it into the prompt";
        return Err(Failure::usage_hint("`--system-prompt` needs a chat template", hint));
    }
    let prompt = match &args.prompt {
        Some(prompt) => prompt.clone(),
        None if chats => return chat::run(&model, args, ask),
        None => standard_input()?,
    };
    let answer = if templated {
        let mut messages = Vec::new();
        messages.extend(args.system.as_ref().map(|text| message("system", text)));
        messages.push(message("user", &prompt));
        model.chat(&Chat::new(messages.into()), &ask)?
    } else {
        model.answer(&prompt, &ask)?
    };
    let printed = if json { print_json(answer) } else { print(answer) };
    Told::default().tell(&model);
    let (_, outcome) = printed?;
    if args.verbose {
        noteln!("{}", timings(&outcome));
    }
    if cancel::is_pressed() {
        return Err(Failure::Cancelled);
    }
    Ok(())
}

/// A message of a conversation.
fn message(role: &str, content: &str) -> serde_json::Value {
    json!({ "role": role, "content": content })
}

/// What the user has been told of.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How many failures of devices.
    failovers: usize,
    /// That the draft model was given up.
    draft: bool,
}

impl Told {
    /// Tells of those that are new.
    pub(super) fn tell(&mut self, model: &LanguageModel) {
        let failovers = model.failovers();
        for failover in failovers.iter().skip(self.failovers) {
            noteln!("warning: {}", failover_text(failover));
        }
        self.failovers = failovers.len();
        if let (false, Some(reason)) = (self.draft, model.draft_lost()) {
            let reason = one_line(&reason);
            noteln!("warning: answers go on without the draft model, which failed: {reason}");
            self.draft = true;
        }
    }
}

fn failover_text(StepFailover { step, failover, onto }: &StepFailover) -> String {
    let (backend, code) = (&failover.target, failover.code);
    let (onto, reason) = (onto.join("`, `"), one_line(&failover.reason));
    format!("`{backend}` failed ({code}) in step {step}, which went on with `{onto}`: {reason}")
}

/// Failures of devices, as JSON.
pub(super) fn step_failovers_json(failovers: &[StepFailover]) -> serde_json::Value {
    let one = |failed: &StepFailover| {
        let mut object = failover_json(&failed.failover);
        object["step"] = failed.step.into();
        object["went_on_with"] = failed.onto.clone().into();
        object
    };
    failovers.iter().map(one).collect()
}

/// What a person wants to know before the answer comes.
fn first_line(model: &LanguageModel) -> String {
    let (info, budget, memory) = (model.info(), model.budget(), model.memory());
    format!(
        "{} {} {} · {} · ctx {} of {}{} ({} of {}) · weights {} ({}) · work {} · template: {}",
        info.architecture,
        parameters_text(info.parameters),
        info.dtype,
        devices_text(model),
        budget.context,
        info.context,
        cut_text(model),
        bytes_text(memory.cache_bytes),
        info.states.first().map_or("f16", |state| state.dtype.name()),
        bytes_text(memory.weight_bytes),
        packed_text(memory.packed_bytes),
        bytes_text(memory.work_bytes),
        template_text(model),
    )
}

/// What is to be said of a context that is not the model's own.
fn cut_text(model: &LanguageModel) -> &'static str {
    if model.is_cut() { ", the most that fits" } else { "" }
}

/// What becomes of weights in memory.
fn packed_text(bytes: u64) -> String {
    if bytes == 0 { "mapped".to_owned() } else { format!("packed {}", bytes_text(bytes)) }
}

pub(super) fn parameters_text(parameters: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let millions = parameters as f64 / 1e6;
    if millions >= 1000.0 { format!("{:.1}B", millions / 1e3) } else { format!("{millions:.1}M") }
}

/// Who runs the model; the processor by llama-bench's name for it.
pub(super) fn devices(model: &LanguageModel) -> Vec<String> {
    let plan = model.placement();
    let parts = plan.classes.iter().flat_map(|class| &class.parts);
    let names = parts.filter_map(|part| plan.providers.get(part.provider.index()));
    let mut names: Vec<&str> = names.map(|provider| provider.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let shown = |name| if name == "cpu" { "CPU" } else { name };
    names.into_iter().map(|name| shown(name).to_owned()).collect()
}

fn devices_text(model: &LanguageModel) -> String {
    let mut names = devices(model);
    if let Some(cpu) = names.iter_mut().find(|name| *name == "CPU") {
        *cpu = format!("CPU {} threads", model.threads());
    }
    names.join(" + ")
}

fn template_text(model: &LanguageModel) -> String {
    match model.template() {
        Ok(None) => "none".to_owned(),
        Ok(Some(template)) => {
            template.probe().findings.first().map_or_else(|| "ok".to_owned(), ToString::to_string)
        }
        Err(error) => error.to_string(),
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|source| Failure::File { action: "read", path: "standard input".into(), source })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use remuda::StepFailover;
    use remuda::placement::{Failover, PlanId};

    use super::{failover_text, step_failovers_json};

    #[test]
    fn a_failure_is_one_line_and_one_object() {
        let failover = Failover {
            target: "fake:gpu".into(),
            part: 1,
            code: "device-lost",
            reason: "the driver says:\n  it is gone".to_owned(),
            plan: PlanId(7),
        };
        let onto = vec!["fake:npu".to_owned(), "cpu".to_owned()];
        let failed = StepFailover { step: 3, failover, onto };
        let text = "`fake:gpu` failed (device-lost) in step 3, which went on with `fake:npu`, \
                    `cpu`: the driver says: it is gone";
        assert_eq!(failover_text(&failed), text);
        let json = step_failovers_json(&[failed]);
        assert_eq!((&json[0]["backend"], &json[0]["step"]), (&"fake:gpu".into(), &3.into()));
        assert_eq!(json[0]["went_on_with"], serde_json::json!(["fake:npu", "cpu"]));
    }
}
