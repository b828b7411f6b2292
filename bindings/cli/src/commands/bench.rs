//! `remuda bench`: how fast a model runs, also beside another runtime.

use std::path::PathBuf;
use std::time::Duration;

use remuda::{Model, RunOptions, Runtime, Value};
use serde_json::json;

use super::{BackendArgs, print_table, warn};
use crate::failure::Failure;
use crate::inputs::InputArgs;
use crate::{bundled, cancel};

mod language;
mod peer;
mod python;

use peer::Peer;

/// How many runs are measured if nobody says.
const REPETITIONS: u32 = 10;

/// Runs of one side before the other has its turn.
const RUNS_PER_TURN: u32 = 5;

/// Arguments of `remuda bench`.
#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// The model: an ONNX or GGUF file, a HuggingFace folder, or `demo` or `digits`, which are inside this program
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArgs,
    /// Numbers of threads to measure [default: the cores this process may use]
    #[arg(short, long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<usize>,
    /// How many runs are measured, after one that is not [default: 10, of language models 5]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: Option<u32>,
    /// Measure another runtime on the same file, inputs and threads, taking turns
    #[arg(long, value_name = "RUNTIME")]
    vs: Option<Rival>,
    /// The Python interpreter that has the other runtime
    #[arg(long, value_name = "PATH", default_value = "python3", requires = "vs")]
    python: PathBuf,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    language: language::LanguageBenchArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Rival {
    /// The Python package `onnxruntime`, on the CPU
    Onnxruntime,
    /// The Python package `llama-cpp-python`, on the CPU, for language models
    #[value(name = "llama.cpp")]
    LlamaCpp,
}

struct Row {
    threads: usize,
    ours: Figures,
    /// The version and figures of the other runtime.
    theirs: Option<(String, Figures)>,
}

/// Times, sorted, at least one.
struct Figures(Vec<Duration>);

impl Figures {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn min(&self) -> f64 {
        self.0.first().map_or(0.0, milliseconds)
    }

    fn max(&self) -> f64 {
        self.0.last().map_or(0.0, milliseconds)
    }

    fn median(&self) -> f64 {
        let at = |place: usize| self.0.get(place).map_or(0.0, milliseconds);
        let count = self.0.len();
        f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2))
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "runs": self.0.len(),
            "median_ms": self.median(),
            "min_ms": self.min(),
            "max_ms": self.max(),
            "runs_per_second": 1e3 / self.median(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let times = [self.median(), self.min(), self.max()];
        let mut cells = times.map(|time| format!("{time:.3}")).to_vec();
        cells.push(format!("{:.1}", 1e3 / self.median()));
        cells
    }
}

impl Row {
    /// Our median as a multiple of theirs.
    fn ratio(&self) -> Option<f64> {
        self.theirs.as_ref().map(|(_, theirs)| self.ours.median() / theirs.median())
    }

    fn to_json(&self) -> serde_json::Value {
        let mut row = json!({ "threads": self.threads });
        let (Some(object), serde_json::Value::Object(ours)) =
            (row.as_object_mut(), self.ours.to_json())
        else {
            return row;
        };
        object.extend(ours);
        if let Some((version, theirs)) = &self.theirs {
            let mut rival = theirs.to_json();
            rival["version"] = json!(version);
            object.insert("onnxruntime".to_owned(), rival);
            object.insert("ratio".to_owned(), json!(self.ratio()));
        }
        row
    }
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Measures a model.
pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    cancel::listen();
    let model = &args.model;
    if !bundled::is_named(model)
        && remuda::LanguageModel::is_one(model).map_err(|error| Failure::loading(model, error))?
    {
        return language::run(args);
    }
    let counts: Vec<Option<usize>> = match &args.threads[..] {
        [] => vec![None],
        counts => counts.iter().copied().map(Some).collect(),
    };
    let rows =
        counts.into_iter().map(|threads| measure(args, threads)).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
        outln!("{:#}", json!(rows));
    } else if args.vs.is_some() {
        print_beside(&rows);
    } else {
        print(&rows);
    }
    Ok(())
}

fn print(rows: &[Row]) {
    let titles = ["threads", "median ms", "min ms", "max ms", "runs/s"];
    let mut table = vec![titles.map(str::to_owned).to_vec()];
    for row in rows {
        table.push([vec![row.threads.to_string()], row.ours.cells()].concat());
    }
    print_table(&table);
}

/// Two lines for each number of threads.
fn print_beside(rows: &[Row]) {
    let titles = ["threads", "runtime", "median ms", "min ms", "max ms", "runs/s", "ratio"];
    let mut table = vec![titles.map(str::to_owned).to_vec()];
    for row in rows {
        let mut line = |name: String, figures: &Figures, ratio: String| {
            table
                .push([vec![row.threads.to_string(), name], figures.cells(), vec![ratio]].concat());
        };
        let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
        line(format!("remuda {}", env!("CARGO_PKG_VERSION")), &row.ours, ratio);
        if let Some((version, theirs)) = &row.theirs {
            line(format!("onnxruntime {version}"), theirs, "1".to_owned());
        }
    }
    print_table(&table);
}

fn measure(args: &BenchArgs, threads: Option<usize>) -> Result<Row, Failure> {
    let runtime = args.backends.runtime(threads)?;
    let model = bundled::load(&runtime, &args.model)?;
    warn(&model.placement_warnings());
    let mut values = args.inputs.values(&model)?;
    if bundled::is_named(&args.model) && args.inputs.are_empty() {
        values.push(("image".to_owned(), Value::from(bundled::seven()?)));
    }
    let mut peer = match args.vs {
        Some(Rival::Onnxruntime) => {
            Some(Peer::start(&args.python, &args.model, runtime.threads(), &values)?)
        }
        Some(Rival::LlamaCpp) => {
            return Err(Failure::usage_hint(
                "llama.cpp runs language models only",
                "`--vs onnxruntime` compares on ONNX files",
            ));
        }
        None => None,
    };
    take_turns(args, &runtime, &model, &values, &mut peer)
}

/// Each side runs a few times before the other does; who begins changes with each turn.
fn take_turns(
    args: &BenchArgs,
    runtime: &Runtime,
    model: &Model,
    values: &[(String, Value)],
    peer: &mut Option<Peer>,
) -> Result<Row, Failure> {
    let options = RunOptions { cancel: Some(cancel::flag()), ..RunOptions::default() };
    let once = || -> Result<Duration, Failure> {
        let values = values.iter().map(|(name, value)| (name, value.clone()));
        Ok(model.run_with(values, &options)?.time)
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut left = args.repetitions.unwrap_or(REPETITIONS);
    let mut is_first = true;
    while left > 0 {
        let runs = if peer.is_some() { left.min(RUNS_PER_TURN) } else { left };
        let mut their_turn = || -> Result<(), Failure> {
            theirs.extend(peer.as_mut().map_or(Ok(Vec::new()), |peer| peer.turn(runs))?);
            Ok(())
        };
        if !is_first {
            their_turn()?;
        }
        once()?;
        for _ in 0..runs {
            ours.push(once()?);
        }
        if is_first {
            their_turn()?;
        }
        is_first = !is_first;
        left -= runs;
    }
    let theirs = peer.as_ref().map(|peer| (peer.version().to_owned(), Figures::new(theirs)));
    Ok(Row { threads: runtime.threads(), ours: Figures::new(ours), theirs })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Figures, Row};

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        let times = |millis: &[u64]| millis.iter().copied().map(Duration::from_millis).collect();
        let figures = Figures::new(times(&[9, 2, 4, 1]));
        assert_eq!((figures.min(), figures.median(), figures.max()), (1.0, 3.0, 9.0));
        assert_eq!(Figures::new(times(&[5])).median(), 5.0);
        let theirs = Some(("1".to_owned(), Figures::new(times(&[2]))));
        assert_eq!(Row { threads: 1, ours: figures, theirs }.ratio(), Some(1.5));
    }
}
