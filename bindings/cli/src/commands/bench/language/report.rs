//! Figures of language models in llama-bench's forms.

use serde_json::{Value as Json, json};

use remuda::LanguageModel;

use super::super::python::Python;
use super::super::{BenchArgs, Figures};
use super::{Form, Row};
use crate::commands::language::devices;

/// The runtime that takes turns.
struct Rival {
    version: String,
    /// What it says of how it was built.
    system: String,
}

/// All rows, and what was measured.
pub(super) struct Report {
    form: Form,
    file: String,
    /// Architecture, size and dtype.
    model: String,
    bytes: u64,
    parameters: u64,
    step_tokens: usize,
    cache: String,
    /// Who runs the model.
    backends: String,
    rival: Option<Rival>,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(args: &BenchArgs) -> Self {
        Self {
            form: if args.json { Form::Json } else { args.language.form },
            file: args.model.to_string_lossy().into_owned(),
            model: String::new(),
            bytes: 0,
            parameters: 0,
            step_tokens: 0,
            cache: String::new(),
            backends: String::new(),
            rival: None,
            rows: Vec::new(),
        }
    }

    pub(super) fn describe(&mut self, model: &LanguageModel, rival: Option<&Python>) {
        let info = model.info();
        self.model =
            format!("{} {} {}", info.architecture, count_text(info.parameters), info.dtype);
        self.bytes = info.weight_bytes;
        self.parameters = info.parameters;
        self.step_tokens = model.budget().step_tokens;
        self.cache = info.states.first().map(|state| state.dtype.to_string()).unwrap_or_default();
        self.backends = devices(model).join(",");
        self.rival = rival.map(|process| Rival {
            version: process.version.clone(),
            system: process.system.clone(),
        });
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn print(&self) {
        match self.form {
            Form::Md => self.print_markdown(),
            Form::Json => {
                let rows: Vec<_> = self.rows.iter().map(|row| self.to_json(row)).collect();
                outln!("{:#}", json!(rows));
            }
            Form::Jsonl => self.rows.iter().for_each(|row| outln!("{}", self.to_json(row))),
            Form::Csv => self.print_csv(),
        }
    }

    fn print_markdown(&self) {
        let mut titles = ["model", "size", "params", "backend", "threads", "test", "t/s"].to_vec();
        let rival = self.rival.as_ref().map(|rival| format!("llama.cpp {}", rival.version));
        titles.extend(rival.iter().flat_map(|name| [name.as_str(), "ratio"]));
        let mut table = vec![titles.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for row in &self.rows {
            let mut cells = vec![
                self.model.clone(),
                format!("{:.2} MiB", self.bytes as f64 / f64::from(1 << 20)),
                count_text(self.parameters),
                self.backends.clone(),
                row.threads.to_string(),
                row.test.name(),
                rate_text(row, &row.ours),
            ];
            if let (Some(best), Some(ratio)) = (row.best_of_theirs(), row.ratio()) {
                cells.push(format!("{:.2}", row.test.per_second(best / 1e3)));
                cells.push(format!("{ratio:.2}x"));
            }
            table.push(cells);
        }
        print_markdown(&table);
    }

    fn to_json(&self, row: &Row) -> Json {
        let test = &row.test;
        let mut object = json!({
            "model_filename": self.file,
            "model_type": self.model,
            "model_size": self.bytes,
            "model_n_params": self.parameters,
            "backends": self.backends,
            "n_batch": self.step_tokens,
            "n_ubatch": self.step_tokens,
            "n_threads": row.threads,
            "type_k": self.cache,
            "type_v": self.cache,
            "n_prompt": test.prompt,
            "n_gen": test.generated,
            "n_depth": test.depth,
            "n_parallel": test.sequences,
        });
        add(&mut object, statistics(row, &row.ours));
        if let Some(Rival { version, system }) = &self.rival {
            let sides = row.theirs.iter().map(|(setting, figures)| {
                let mut side = json!({ "setting": setting });
                add(&mut side, statistics(row, figures));
                side
            });
            let sides: Vec<_> = sides.collect();
            let ratio = row.ratio();
            let rival =
                json!({ "version": version, "system": system, "settings": sides, "ratio": ratio });
            add(&mut object, json!({ "llama.cpp": rival }));
        }
        object
    }

    fn print_csv(&self) {
        let rows: Vec<Json> = self.rows.iter().map(|row| self.to_json(row)).collect();
        let plain = |value: &&(String, Json)| !value.1.is_array() && !value.1.is_object();
        for (at, row) in rows.iter().enumerate() {
            let Json::Object(fields) = row else { continue };
            let mut fields: Vec<_> = fields.clone().into_iter().collect();
            let ratio = row.get("llama.cpp").and_then(|rival| rival.get("ratio")).cloned();
            fields.extend(ratio.map(|ratio| ("ratio".to_owned(), ratio)));
            let fields: Vec<_> = fields.iter().filter(plain).collect();
            if at == 0 {
                let names = fields.iter().map(|(name, _)| &**name);
                outln!("{}", names.collect::<Vec<_>>().join(","));
            }
            let cells = fields.iter().map(|(_, value)| quoted(value));
            outln!("{}", cells.collect::<Vec<_>>().join(","));
        }
    }
}

/// A cell of a file of comma-separated values.
fn quoted(value: &Json) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Adds the fields of an object to another.
fn add(object: &mut Json, fields: Json) {
    if let (Json::Object(object), Json::Object(fields)) = (object, fields) {
        object.extend(fields);
    }
}

fn statistics(row: &Row, figures: &Figures) -> Json {
    let nanoseconds: Vec<f64> = figures.0.iter().map(|time| time.as_secs_f64() * 1e9).collect();
    let rates: Vec<f64> = nanoseconds.iter().map(|time| row.test.per_second(time / 1e9)).collect();
    json!({
        "avg_ns": mean(&nanoseconds).round(),
        "stddev_ns": deviation(&nanoseconds).round(),
        "avg_ts": mean(&rates),
        "stddev_ts": deviation(&rates),
        "median_ts": row.test.per_second(figures.median() / 1e3),
        "samples_ns": nanoseconds,
        "samples_ts": rates,
    })
}

/// Mean and deviation of the tokens per second.
fn rate_text(row: &Row, figures: &Figures) -> String {
    let rate = |time: &std::time::Duration| row.test.per_second(time.as_secs_f64());
    let rates: Vec<f64> = figures.0.iter().map(rate).collect();
    format!("{:.2} ± {:.2}", mean(&rates), deviation(&rates))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len().max(1)) as f64
}

/// The standard deviation of samples.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len().saturating_sub(1).max(1)) as f64).sqrt()
}

/// A number of parameters: `1.24 B`, `7.30 M`.
fn count_text(count: u64) -> String {
    let count = count as f64;
    if count >= 1e9 { format!("{:.2} B", count / 1e9) } else { format!("{:.2} M", count / 1e6) }
}

/// A table in Markdown; figures to the right.
fn print_markdown(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_figure = |column: usize| column == 1 || column == 2 || column == 4 || column > 5;
    for (at, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate().map(|(column, text)| {
            let width = widths[column];
            if is_figure(column) { format!("{text:>width$}") } else { format!("{text:width$}") }
        });
        outln!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if at == 0 {
            let rules = widths.iter().enumerate().map(|(column, &width)| {
                let end = if is_figure(column) { ":" } else { "-" };
                format!("{}{end}", "-".repeat(width - 1))
            });
            outln!("| {} |", rules.collect::<Vec<_>>().join(" | "));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{count_text, deviation, mean, quoted};

    #[test]
    fn figures_are_told_as_llama_bench_tells_them() {
        assert_eq!(mean(&[1.0, 3.0]), 2.0);
        assert_eq!(deviation(&[1.0, 3.0]), 2.0_f64.sqrt());
        assert_eq!(deviation(&[5.0]), 0.0);
        assert_eq!(count_text(1_235_814_432), "1.24 B");
        assert_eq!(count_text(7_300_000), "7.30 M");
        assert_eq!(quoted(&json!("a \"b\"")), "\"a \"\"b\"\"\"");
        assert_eq!(quoted(&json!(2.5)), "\"2.5\"");
    }
}
