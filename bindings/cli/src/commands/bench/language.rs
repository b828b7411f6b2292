//! `remuda bench` of a language model: llama-bench's tests, and its forms of output.
//!
//! Tokens are random: what a step costs does not depend on them. Every test runs once before it is
//! measured; with a rival, all sides take turns.

use std::time::{Duration, Instant};

use remuda::samples::Random;
use remuda::{LanguageModel, LanguageOptions, Pick};

use super::python::{Package, Python};
use super::{BenchArgs, Figures};
use crate::cancel;
use crate::commands::language::{LoadArgs, Told};
use crate::commands::warn;
use crate::failure::Failure;

mod report;

use report::Report;

static LLAMA_CPP: Package = Package {
    name: "llama.cpp",
    install: "llama-cpp-python",
    script: include_str!("llama_cpp.py"),
};

/// How often a test is measured if nobody says.
const REPETITIONS: u32 = 5;

/// Arguments of `remuda bench` that concern language models.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Language models")]
pub(super) struct LanguageBenchArgs {
    /// Lengths of prompts to read [default: 512]
    #[arg(short = 'p', long = "n-prompt", value_name = "N,…", value_delimiter = ',')]
    prompts: Vec<usize>,
    /// Numbers of tokens to generate [default: 128]
    #[arg(short = 'n', long = "n-gen", value_name = "N,…", value_delimiter = ',')]
    generated: Vec<usize>,
    /// A prompt and what is generated behind it, measured together; also `-pg`
    #[arg(long = "pg", value_name = "P,N", value_parser = prompt_and_generated)]
    both: Vec<(usize, usize)>,
    /// Positions that are in the cache before [default: 0]
    #[arg(short = 'd', long = "n-depth", value_name = "N,…", value_delimiter = ',')]
    depths: Vec<usize>,
    /// Sequences that run together [default: 1]
    #[arg(long = "parallel", value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=256))]
    parallel: Vec<u32>,
    /// Generate the tokens that are in the cache before, again and again: texts that copy, for `--lookup`
    #[arg(long, requires = "depths")]
    copy: bool,
    /// The form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "md")]
    form: Form,
    #[command(flatten)]
    load: LoadArgs,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// A table in Markdown
    Md,
    /// A list of objects
    Json,
    /// An object on each line
    Jsonl,
    /// Comma-separated values
    Csv,
}

fn prompt_and_generated(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once(',').map(|(prompt, generated)| (prompt.parse(), generated.parse()));
    match parts {
        Some((Ok(prompt), Ok(generated))) => Ok((prompt, generated)),
        _ => Err("expected two numbers: `512,128`".to_owned()),
    }
}

/// What is measured: so many tokens of each sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Test {
    prompt: usize,
    generated: usize,
    depth: usize,
    sequences: u32,
}

impl Test {
    /// Tokens that are read or generated.
    fn tokens(&self) -> usize {
        (self.prompt + self.generated) * self.sequences as usize
    }

    /// Positions of a sequence. A generation without a prompt starts from a token.
    fn positions(&self) -> usize {
        self.depth + self.prompt.max(1) + self.generated
    }

    /// Its name: `pp512`, `tg128 @ d4096`, `tg128 x 8`.
    fn name(&self) -> String {
        let mut name = match (self.prompt, self.generated) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, generated) => format!("tg{generated}"),
            (prompt, generated) => format!("pp{prompt}+tg{generated}"),
        };
        if self.depth > 0 {
            name = format!("{name} @ d{}", self.depth);
        }
        if self.sequences > 1 {
            name = format!("{name} x {}", self.sequences);
        }
        name
    }

    fn order(&self) -> String {
        format!("{} {} {} {}", self.prompt, self.generated, self.sequences, self.depth)
    }

    fn per_second(&self, time: f64) -> f64 {
        self.tokens() as f64 / time
    }
}

impl LanguageBenchArgs {
    fn tests(&self) -> Vec<Test> {
        let given = |list: &[usize], default| {
            if list.is_empty() { vec![default] } else { list.to_vec() }
        };
        let lonely = self.both.is_empty() || !self.prompts.is_empty() || !self.generated.is_empty();
        let mut tests: Vec<(usize, usize)> = Vec::new();
        if lonely {
            let prompts = given(&self.prompts, 512).into_iter().map(|prompt| (prompt, 0));
            let generated = given(&self.generated, 128).into_iter().map(|count| (0, count));
            tests.extend(prompts.chain(generated));
        }
        tests.extend(&self.both);
        tests.retain(|&(prompt, generated)| prompt + generated > 0);
        let parallel = if self.parallel.is_empty() { &[1][..] } else { &self.parallel };
        let mut all = Vec::new();
        for depth in given(&self.depths, 0) {
            for &sequences in parallel {
                all.extend(tests.iter().map(|&(prompt, generated)| Test {
                    prompt,
                    generated,
                    depth,
                    sequences,
                }));
            }
        }
        all
    }
}

/// A rival, and how it is set.
struct Rival {
    setting: &'static str,
    process: Python,
}

/// The figures of a test.
struct Row {
    test: Test,
    threads: usize,
    ours: Figures,
    /// Those of the rivals, by setting.
    theirs: Vec<(&'static str, Figures)>,
}

impl Row {
    /// The median of the rival at its better setting.
    fn best_of_theirs(&self) -> Option<f64> {
        self.theirs.iter().map(|(_, figures)| figures.median()).min_by(f64::total_cmp)
    }

    /// How many times as fast as the rival.
    fn ratio(&self) -> Option<f64> {
        self.best_of_theirs().map(|theirs| theirs / self.ours.median())
    }
}

/// Measures a language model.
pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    let tests = args.language.tests();
    let counts: Vec<Option<usize>> = match &args.threads[..] {
        [] => vec![None],
        counts => counts.iter().copied().map(Some).collect(),
    };
    let mut report = Report::new(args);
    for threads in counts {
        let model = load(args, &tests, threads)?;
        let mut rivals = rivals(args, model.threads())?;
        let mut failed = Told::default();
        report.describe(&model, rivals.first().map(|rival| &rival.process));
        for test in &tests {
            report.add(measure(args, &model, test, &mut rivals)?);
            failed.tell(&model);
        }
    }
    report.print();
    Ok(())
}

fn load(
    args: &BenchArgs,
    tests: &[Test],
    threads: Option<usize>,
) -> Result<LanguageModel, Failure> {
    let given = args.language.load.options()?;
    let options = LanguageOptions {
        context: given.context.or_else(|| tests.iter().map(Test::positions).max()),
        sequences: tests.iter().map(|test| test.sequences).max().unwrap_or(1),
        ..given
    };
    let runtime = args.language.load.builder((&args.backends, threads)).build()?;
    let loaded = runtime.load_language(&args.model, &options);
    let model = loaded.map_err(|error| Failure::loading(&args.model, error))?;
    warn(&model.placement_warnings());
    Ok(model)
}

/// The rival with its weights repacked and as they are: it is compared with at its better setting.
fn rivals(args: &BenchArgs, threads: usize) -> Result<Vec<Rival>, Failure> {
    match args.vs {
        None => return Ok(Vec::new()),
        Some(super::Rival::LlamaCpp) => {}
        Some(super::Rival::Onnxruntime) => {
            return Err(Failure::usage_hint(
                "ONNX Runtime does not run GGUF files",
                "`--vs llama.cpp` compares on them",
            ));
        }
    }
    let start = |(setting, repack): (&'static str, &str)| -> Result<Rival, Failure> {
        let arguments =
            [args.model.clone().into_os_string(), threads.to_string().into(), repack.into()];
        Ok(Rival { setting, process: Python::start(&args.python, &LLAMA_CPP, arguments)? })
    };
    [("repacked", "on"), ("as in the file", "off")].into_iter().map(start).collect()
}

fn measure(
    args: &BenchArgs,
    model: &LanguageModel,
    test: &Test,
    rivals: &mut [Rival],
) -> Result<Row, Failure> {
    let mut random = Random::new(7);
    let depth = tokens(&mut random, model, test.depth);
    let copied = if args.language.copy { &depth[..] } else { &[] };
    let mut once = || run_once(model, test, (&depth, copied), &mut random);
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); rivals.len()];
    for turn in 0..=args.repetitions.unwrap_or(REPETITIONS) {
        let mut round = Vec::with_capacity(rivals.len());
        // Who begins changes with each turn; the first one warms everybody up.
        if turn.is_multiple_of(2) {
            ours.push(once()?);
        }
        for rival in rivals.iter_mut() {
            round.push(rival.process.times(&test.order())?);
        }
        if !turn.is_multiple_of(2) {
            ours.push(once()?);
        }
        theirs.iter_mut().zip(round).for_each(|(all, times)| all.extend(times));
    }
    let figures = |times: Vec<Duration>| Figures::new(times.into_iter().skip(1).collect());
    let settings = rivals.iter().map(|rival| rival.setting);
    let theirs = settings.zip(theirs.into_iter().map(figures)).collect();
    Ok(Row { test: *test, threads: model.threads(), ours: figures(ours), theirs })
}

fn tokens(random: &mut Random, model: &LanguageModel, count: usize) -> Vec<u32> {
    let vocabulary = model.info().vocabulary;
    (0..count).map(|_| u32::try_from(random.below(vocabulary)).unwrap_or(0)).collect()
}

/// The time of one test behind the tokens of `depth`, which the caches have afterwards. What is generated
/// are the `copied` tokens over and over, if there are any.
fn run_once(
    model: &LanguageModel,
    test: &Test,
    (depth, copied): (&[u32], &[u32]),
    random: &mut Random,
) -> Result<Duration, Failure> {
    let mut starts = Vec::new();
    for sequence in 0..test.sequences {
        let mut start = depth.to_vec();
        // Sequences share nothing.
        if let Some(first) = start.first_mut() {
            *first = sequence;
        }
        starts.push(start);
    }
    if !depth.is_empty() {
        generate(model, starts.clone(), (0, &[]))?;
    }
    for start in &mut starts {
        start.extend(tokens(random, model, test.prompt.max(1)));
    }
    // The step that reads the last token of a prompt yields the first token that is generated.
    let picks = if test.prompt == 0 { test.generated.saturating_sub(1) } else { test.generated };
    let started = Instant::now();
    generate(model, starts, (picks, copied))?;
    Ok(started.elapsed())
}

/// Goes on from all prompts at once, by so many tokens: those of a text, or any.
fn generate(
    model: &LanguageModel,
    prompts: Vec<Vec<u32>>,
    (count, copied): (usize, &[u32]),
) -> Result<(), Failure> {
    let vocabulary = model.info().vocabulary.max(1);
    let pick = || -> Pick {
        let mut left = count;
        // Behind the first token, which no sequence has in common with another.
        let mut copied = copied.get(1..).unwrap_or_default().to_vec().into_iter().cycle();
        Box::new(move |_| {
            left = left.checked_sub(1)?;
            copied.next().or_else(|| u32::try_from(left % vocabulary).ok())
        })
    };
    let started = prompts.into_iter().map(|prompt| model.generate(prompt, None, pick()));
    let generations = started.collect::<Result<Vec<_>, _>>()?;
    for token in generations.into_iter().flatten() {
        token?;
        if cancel::is_pressed() {
            return Err(Failure::Cancelled);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{LanguageBenchArgs, Test};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LanguageBenchArgs,
    }

    fn names(line: &[&str]) -> Vec<String> {
        let args = Line::parse_from([&["bench"][..], line].concat()).args;
        args.tests().iter().map(Test::name).collect()
    }

    #[test]
    fn tests_are_those_of_llama_bench() {
        assert_eq!(names(&[]), ["pp512", "tg128"]);
        assert_eq!(names(&["-p", "0", "-n", "16,32"]), ["tg16", "tg32"]);
        assert_eq!(names(&["--pg", "64,8"]), ["pp64+tg8"]);
        assert_eq!(names(&["-p", "8", "-n", "0", "--pg", "64,8"]), ["pp8", "pp64+tg8"]);
        assert_eq!(names(&["-n", "0", "-d", "0,256"]), ["pp512", "pp512 @ d256"]);
        assert_eq!(names(&["-p", "0", "--parallel", "1,8"]), ["tg128", "tg128 x 8"]);
    }

    #[test]
    fn a_rate_counts_the_tokens_of_all_sequences() {
        let test = Test { prompt: 0, generated: 16, depth: 4, sequences: 8 };
        assert_eq!(test.per_second(2.0), 64.0);
        assert_eq!(test.positions(), 21);
    }
}
