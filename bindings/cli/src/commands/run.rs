//! `remuda run`: one run of a model.

use std::path::{Path, PathBuf};

use remuda::{DType, Outputs, RunOptions, Value, chrome_trace};
use serde_json::json;

use super::{BackendArgs, failovers_json, print_table, warn_of_run};
use crate::failure::Failure;
use crate::inputs::InputArgs;
use crate::show_value::{describe, preview, to_json};
use crate::{bundled, cancel, npy};

/// Arguments of `remuda run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The model: an ONNX or GGUF file, a HuggingFace folder, or `demo` or `digits`, which are inside this program
    model: PathBuf,
    #[command(flatten)]
    language: super::language::LanguageArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// Write each output to a file in this folder: `.npy`, or `.json` for texts
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Number of threads [default: the cores this process may use]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    backends: BackendArgs,
    /// Write the time of each node as a Chrome trace
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// How many values of each output are printed
    #[arg(long, value_name = "N", default_value_t = 10)]
    values: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    /// Refuses what concerns the inputs and outputs of other models than language models.
    fn has_no_tensors(&self) -> Result<(), Failure> {
        let given = [
            ("--random-inputs", self.inputs.are_random()),
            ("--input", !self.inputs.are_empty()),
            ("--output", self.output.is_some()),
            ("--profile", self.profile.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => {
                let model = self.model.display();
                let message = format!("`{name}` is not for language models, and `{model}` is one");
                Err(Failure::usage_hint(message, "it takes a prompt: `remuda run MODEL \"…\"`"))
            }
        }
    }
}

/// Runs a model and prints its outputs.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    cancel::listen();
    if !bundled::is_named(&args.model)
        && remuda::LanguageModel::is_one(&args.model)
            .map_err(|error| Failure::loading(&args.model, error))?
    {
        args.has_no_tensors()?;
        let setup = (&args.backends, args.threads);
        return super::language::run(&args.model, &args.language, setup, args.json);
    }
    if args.language.has_prompt() {
        let message = format!("`{}` takes inputs, not a prompt", args.model.display());
        return Err(Failure::usage_hint(message, "give them as `--input name=value`"));
    }
    let runtime = args.backends.runtime(args.threads)?;
    let model = bundled::load(&runtime, &args.model)?;
    let mut values = args.inputs.values(&model)?;
    if bundled::is_named(&args.model) && args.inputs.are_empty() {
        values.push(("image".to_owned(), Value::from(bundled::seven()?)));
    }
    let options = RunOptions {
        cancel: Some(cancel::flag()),
        profile: args.profile.is_some(),
        ..RunOptions::default()
    };
    let report = model.run_with(values, &options)?;
    warn_of_run(&report.receipt);
    if let Some(path) = &args.profile {
        write(path, chrome_trace(&report.steps).as_bytes())?;
    }
    if let Some(folder) = &args.output {
        write_outputs(folder, &report.outputs)?;
    }
    if args.json {
        let outputs: Vec<_> = report
            .outputs
            .iter()
            .map(|(name, value)| {
                let mut object = json!({ "name": name });
                if let (Some(object), serde_json::Value::Object(more)) =
                    (object.as_object_mut(), to_json(value, args.values))
                {
                    object.extend(more);
                }
                object
            })
            .collect();
        let failovers = failovers_json(&report.receipt.failovers);
        let time_ms = report.time.as_secs_f64() * 1e3;
        outln!("{:#}", json!({ "outputs": outputs, "time_ms": time_ms, "failovers": failovers }));
    } else {
        let row = |(name, value): (&str, &Value)| {
            vec![name.to_owned(), describe(value), preview(value, args.values)]
        };
        print_table(&report.outputs.iter().map(row).collect::<Vec<_>>());
    }
    Ok(())
}

fn write_outputs(folder: &Path, outputs: &Outputs) -> Result<(), Failure> {
    let file = |source| Failure::File { action: "write", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(file)?;
    for (at, (name, value)) in outputs.iter().enumerate() {
        write_value(&folder.join(file_name(name, at)), value)?;
    }
    Ok(())
}

/// One file for a tensor, a numbered one per item of a sequence.
fn write_value(stem: &Path, value: &Value) -> Result<(), Failure> {
    match value {
        // numpy would keep texts as Python objects, which are programs.
        Value::Tensor(tensor) if tensor.dtype() == DType::String => {
            let text = to_json(value, usize::MAX).to_string();
            write(&with_ending(stem, ".json"), text.as_bytes())
        }
        Value::Tensor(tensor) => {
            let path = with_ending(stem, ".npy");
            match npy::write(tensor) {
                Ok(bytes) => write(&path, &bytes),
                Err(source) => Err(Failure::Npy { action: "write", path, source }),
            }
        }
        Value::Sequence(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| write_value(&with_ending(stem, &format!("-{at}")), item)),
        Value::Optional(item) => item.as_ref().map_or(Ok(()), |item| write_value(stem, item)),
        Value::State(_) => Ok(()),
    }
}

fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// A file name for an output: the model says the name, so nothing of it may lead elsewhere.
fn file_name(name: &str, at: usize) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let safe: String = name.chars().take(100).map(plain).collect();
    if safe == name && !safe.starts_with('.') && !safe.is_empty() {
        safe
    } else {
        format!("{at}-{safe}")
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|source| Failure::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_of_outputs_stay_in_the_folder() {
        assert_eq!(file_name("logits", 0), "logits");
        assert_eq!(file_name("../../etc/passwd", 1), "1-.._.._etc_passwd");
        assert_eq!(file_name("", 2), "2-");
        assert_eq!(file_name("..", 3), "3-..");
    }
}
