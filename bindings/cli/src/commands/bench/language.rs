//! `remuda bench` of a language model: llama-bench's tests and its output formats.

use std::path::Path;
use std::time::Instant;

use remuda::LanguageModel;
use serde_json::{Value, json};

use crate::cancel;
use crate::commands::language::{LoadArgs, parameters_text};
use crate::commands::{BackendArgs, bytes_text};
use crate::failure::Failure;

/// What of a language model is measured.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Language models")]
pub(super) struct LanguageBenchArgs {
    /// Tokens of prompts
    #[arg(short = 'p', long, value_name = "N,…", value_delimiter = ',', default_values_t = [512])]
    n_prompt: Vec<usize>,
    /// Tokens that are generated
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_values_t = [128])]
    n_gen: Vec<usize>,
    /// Tokens of a prompt and generated ones, measured together; may be given several times
    #[arg(long, value_name = "N,N", value_parser = pair)]
    pg: Vec<(usize, usize)>,
    /// How results are written
    #[arg(short, long, value_name = "FORMAT", default_value = "md", value_parser = ["md", "json", "jsonl", "csv"])]
    output: String,
    #[command(flatten)]
    load: LoadArgs,
}

fn pair(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once(',').and_then(|(p, g)| Some((p.parse().ok()?, g.parse().ok()?)));
    parts.ok_or_else(|| "expected two numbers, as `512,128`".to_owned())
}

/// A test: tokens of the prompt, and tokens that are generated.
#[derive(Clone, Copy)]
struct Test {
    prompt: usize,
    generate: usize,
}

/// What a test came to, in tokens per second.
struct Row {
    test: Test,
    threads: usize,
    samples: Vec<f64>,
}

impl Test {
    fn name(self) -> String {
        match (self.prompt, self.generate) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, generate) => format!("tg{generate}"),
            (prompt, generate) => format!("pp{prompt}+tg{generate}"),
        }
    }
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "few samples")]
    fn mean(&self) -> f64 {
        self.samples.iter().sum::<f64>() / self.samples.len().max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "few samples")]
    fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.samples.iter().map(|one| (one - mean).powi(2)).sum();
        (squares / self.samples.len().saturating_sub(1).max(1) as f64).sqrt()
    }
}

/// Measures and prints.
pub(super) fn run(
    path: &Path,
    args: &LanguageBenchArgs,
    (backends, threads, repetitions): (&BackendArgs, &[usize], u32),
) -> Result<(), Failure> {
    cancel::listen();
    let alone = |prompt, generate| Test { prompt, generate };
    let mut tests: Vec<Test> = args.n_prompt.iter().map(|&prompt| alone(prompt, 0)).collect();
    tests.extend(args.n_gen.iter().map(|&generate| alone(0, generate)));
    tests.retain(|test| test.prompt + test.generate > 0);
    tests.extend(args.pg.iter().map(|&(prompt, generate)| Test { prompt, generate }));
    let counts =
        if threads.is_empty() { vec![None] } else { threads.iter().map(|&t| Some(t)).collect() };
    let mut rows = Vec::new();
    let mut about = Value::Null;
    for threads in counts {
        let model = args.load.load(path, (backends, threads))?;
        about = describe(&model);
        for &test in &tests {
            let samples = (0..=repetitions).map(|run| sample(&model, test, run as usize));
            let samples = samples.skip(1).collect::<Result<_, _>>()?;
            rows.push(Row { test, threads: model.threads(), samples });
        }
    }
    print!("{}", written(&args.output, &about, &rows));
    Ok(())
}

/// Tokens per second of one run; the first token differs from run to run, so that nothing is reused.
fn sample(model: &LanguageModel, test: Test, run: usize) -> Result<f64, Failure> {
    let vocabulary = model.info().vocabulary.max(1);
    let token = |at: usize| u32::try_from((at * 7919 + run * 31 + 1) % vocabulary).unwrap_or(0);
    let tokens: Vec<u32> = (0..test.prompt.max(1)).map(token).collect();
    let next = token(1);
    let started = Instant::now();
    let pick = Box::new(move |_: &[f32]| Some(next));
    for token in model.generate(tokens, Some(test.generate.max(1)), pick)? {
        token?;
        if cancel::is_pressed() {
            return Err(Failure::Cancelled);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "few tokens")]
    let count = (test.prompt + test.generate) as f64;
    Ok(count / started.elapsed().as_secs_f64())
}

fn describe(model: &LanguageModel) -> Value {
    let info = model.info();
    json!({
        "model": format!(
            "{} {} {}", info.architecture, parameters_text(info.parameters), info.dtype
        ),
        "size": info.weight_bytes,
        "params": info.parameters,
    })
}

fn written(format: &str, about: &Value, rows: &[Row]) -> String {
    let object = |row: &Row| {
        json!({
            "model_type": about["model"], "model_size": about["size"],
            "model_n_params": about["params"], "backends": "CPU", "n_threads": row.threads,
            "n_prompt": row.test.prompt, "n_gen": row.test.generate, "test": row.test.name(),
            "avg_ts": row.mean(), "stddev_ts": row.deviation(), "samples_ts": row.samples,
        })
    };
    match format {
        "json" => format!("{:#}\n", Value::from(rows.iter().map(object).collect::<Vec<_>>())),
        "jsonl" => rows.iter().map(|row| format!("{}\n", object(row))).collect(),
        "csv" => csv(&rows.iter().map(object).collect::<Vec<_>>()),
        _ => markdown(about, rows),
    }
}

fn csv(objects: &[Value]) -> String {
    let cells = |object: &Value, names: bool| {
        let pairs = object.as_object().into_iter().flatten();
        let pairs = pairs.filter(|(_, value)| !value.is_array());
        let cell =
            |(name, value): (&String, &Value)| if names { name.clone() } else { value.to_string() };
        pairs.map(cell).collect::<Vec<_>>().join(",") + "\n"
    };
    let header = objects.first().map(|object| cells(object, true)).unwrap_or_default();
    header + &objects.iter().map(|object| cells(object, false)).collect::<String>()
}

fn markdown(about: &Value, rows: &[Row]) -> String {
    let mut text = "| model | size | params | backend | threads | test | t/s |\n\
                    | --- | ---: | ---: | --- | ---: | ---: | ---: |\n"
        .to_owned();
    for row in rows {
        let cells = [
            about["model"].as_str().unwrap_or_default().to_owned(),
            bytes_text(about["size"].as_u64().unwrap_or(0)),
            parameters_text(about["params"].as_u64().unwrap_or(0)),
            "CPU".to_owned(),
            row.threads.to_string(),
            row.test.name(),
            format!("{:.2} ± {:.2}", row.mean(), row.deviation()),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Row, Test, pair, written};

    #[test]
    fn results_are_written_as_llama_bench_does() {
        let rows = [
            Row { test: Test { prompt: 512, generate: 0 }, threads: 2, samples: vec![9.0, 11.0] },
            Row { test: Test { prompt: 8, generate: 4 }, threads: 2, samples: vec![3.0] },
        ];
        let about = json!({"model": "llama 1.2B q8_0", "size": 2048, "params": 1_200_000_000_u64});
        let text = written("md", &about, &rows);
        assert!(text.ends_with(
            "| llama 1.2B q8_0 | 2.0 KiB | 1.2B | CPU | 2 | pp512 | 10.00 ± 1.41 |\n\
             | llama 1.2B q8_0 | 2.0 KiB | 1.2B | CPU | 2 | pp8+tg4 | 3.00 ± 0.00 |\n"
        ));
        let csv = written("csv", &about, &rows);
        assert!(
            csv.lines().nth(1).unwrap().contains("\"CPU\",2,512,0,\"pp512\",10.0,1.41"),
            "{csv}"
        );
        let lines = written("jsonl", &about, &rows);
        let second: serde_json::Value =
            serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!((&second["n_gen"], &second["samples_ts"]), (&json!(4), &json!([3.0])));
        assert_eq!(pair("512,128"), Ok((512, 128)));
        assert!(pair("512").is_err());
    }
}
