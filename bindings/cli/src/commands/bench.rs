//! `remuda bench`: how fast a model runs.

use std::path::PathBuf;
use std::time::Duration;

use remuda::{RunOptions, Value};
use serde_json::json;

use super::{BackendArgs, print_table};
use crate::failure::Failure;
use crate::inputs::InputArgs;
use crate::{bundled, cancel};

/// Arguments of `remuda bench`.
#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// The model: an ONNX file, or `digits` for the one inside this program
    model: PathBuf,
    #[command(flatten)]
    inputs: InputArgs,
    /// Numbers of threads to measure [default: the cores this process may use]
    #[arg(short, long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<usize>,
    /// How many runs are measured, after one that is not
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    #[command(flatten)]
    backends: BackendArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

struct Figures {
    threads: usize,
    /// Sorted, at least one.
    times: Vec<Duration>,
}

impl Figures {
    fn min(&self) -> f64 {
        self.times.first().map_or(0.0, milliseconds)
    }

    fn max(&self) -> f64 {
        self.times.last().map_or(0.0, milliseconds)
    }

    fn median(&self) -> f64 {
        let at = |place: usize| self.times.get(place).map_or(0.0, milliseconds);
        let count = self.times.len();
        f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2))
    }
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Measures a model.
pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    cancel::listen();
    let counts: Vec<Option<usize>> = match &args.threads[..] {
        [] => vec![None],
        counts => counts.iter().copied().map(Some).collect(),
    };
    let figures =
        counts.into_iter().map(|threads| measure(args, threads)).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        let rows: Vec<_> = figures
            .iter()
            .map(|figures| {
                json!({
                    "threads": figures.threads,
                    "runs": figures.times.len(),
                    "median_ms": figures.median(),
                    "min_ms": figures.min(),
                    "max_ms": figures.max(),
                    "runs_per_second": 1e3 / figures.median(),
                })
            })
            .collect();
        println!("{:#}", json!(rows));
        return Ok(());
    }
    let titles = ["threads", "median ms", "min ms", "max ms", "runs/s"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(figures.iter().map(|figures| {
        let milliseconds = [figures.median(), figures.min(), figures.max()];
        let mut row = vec![figures.threads.to_string()];
        row.extend(milliseconds.map(|time| format!("{time:.3}")));
        row.push(format!("{:.1}", 1e3 / figures.median()));
        row
    }));
    print_table(&rows);
    Ok(())
}

fn measure(args: &BenchArgs, threads: Option<usize>) -> Result<Figures, Failure> {
    let runtime = args.backends.runtime(threads)?;
    let model = bundled::load(&runtime, &args.model)?;
    let mut values = args.inputs.values(&model)?;
    if bundled::is_named(&args.model) && args.inputs.are_empty() {
        values.push(("image".to_owned(), Value::from(bundled::seven()?)));
    }
    let options = RunOptions { cancel: Some(cancel::flag()), ..RunOptions::default() };
    let once =
        || model.run_with(values.iter().map(|(name, value)| (name, value.clone())), &options);
    once()?;
    let mut times =
        (0..args.repetitions).map(|_| Ok(once()?.time)).collect::<Result<Vec<_>, Failure>>()?;
    times.sort_unstable();
    Ok(Figures { threads: runtime.threads(), times })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Figures;

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        let times = |millis: &[u64]| millis.iter().copied().map(Duration::from_millis).collect();
        let figures = Figures { threads: 1, times: times(&[1, 2, 4, 9]) };
        assert_eq!((figures.min(), figures.median(), figures.max()), (1.0, 3.0, 9.0));
        assert_eq!(Figures { threads: 1, times: times(&[5]) }.median(), 5.0);
    }
}
