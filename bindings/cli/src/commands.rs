//! The commands: each is a file with its arguments and what it does.

mod bench;
mod cache;
mod completions;
mod conform;
mod doctor;
mod embed;
mod language;
mod ops;
mod perplexity;
mod plan;
mod providers;
mod run;
mod show;
mod show_gguf;
mod start;
mod tokenize;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use remuda::placement::{Demands, Failover, Policy, Receipt, Strictness};
use remuda::{Builder, Runtime};
use serde_json::json;

use crate::failure::Failure;

/// One inference runtime for any hardware
#[derive(Debug, Parser)]
#[command(name = "remuda", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a model: answer a prompt, chat, or print the outputs of a graph
    Run(Box<run::RunArgs>),
    /// Show what is in a model's file
    Show(show::ShowArgs),
    /// Show the tokens of a text
    Tokenize(tokenize::TokenizeArgs),
    /// Measure how surprising a text is to a language model
    Perplexity(Box<perplexity::PerplexityArgs>),
    /// Turn texts into vectors
    Embed(embed::EmbedArgs),
    /// Show which backend runs what of a model, and why
    Plan(Box<plan::PlanArgs>),
    /// Measure how fast a model runs
    Bench(Box<bench::BenchArgs>),
    /// List the operators that are supported
    Ops(ops::OpsArgs),
    /// Check this machine and this installation
    Doctor(doctor::DoctorArgs),
    /// List the providers that are there
    Providers(providers::ProvidersArgs),
    /// List the devices of all providers
    Devices(providers::DevicesArgs),
    /// Try whether a provider library keeps to the contract
    Conform(conform::ConformArgs),
    /// List or throw away what is kept: plans, refusals, speeds of devices
    Cache(cache::CacheArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        None => start::run(),
        Some(Command::Run(args)) => run::run(&args)?,
        Some(Command::Show(args)) => show::run(&args)?,
        Some(Command::Tokenize(args)) => tokenize::run(&args)?,
        Some(Command::Perplexity(args)) => perplexity::run(&args)?,
        Some(Command::Embed(args)) => embed::run(&args)?,
        Some(Command::Plan(args)) if !plan::run(&args)? => return Ok(ExitCode::FAILURE),
        Some(Command::Plan(_)) => {}
        Some(Command::Bench(args)) => bench::run(&args)?,
        Some(Command::Ops(args)) => ops::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args)?,
        Some(Command::Providers(args)) => providers::providers(&args)?,
        Some(Command::Devices(args)) => providers::devices(&args)?,
        Some(Command::Conform(args)) if !conform::run(&args)? => return Ok(ExitCode::FAILURE),
        Some(Command::Conform(_)) => {}
        Some(Command::Cache(args)) => cache::run(&args)?,
        Some(Command::Completions(args)) => completions::run(&args),
    }
    Ok(ExitCode::SUCCESS)
}

/// Which backends, and what is demanded of them.
#[derive(Debug, Args)]
struct BackendArgs {
    /// Backends in order of preference, or `auto` to let cost decide; the CPU is always the last
    #[arg(
        long = "backend",
        visible_alias = "backends",
        alias = "providers",
        value_name = "NAME,…",
        value_delimiter = ','
    )]
    backends: Vec<String>,
    /// The `plugins.toml` that says which provider libraries are loaded
    #[arg(long, value_name = "FILE")]
    plugins: Option<PathBuf>,
    /// What happens if a backend is not there, or the CPU has to run what it was asked to: `allow`, `warn` or
    /// `error` [default: warn]
    #[arg(long, value_name = "WHAT", value_parser = strictness)]
    fallback: Option<Strictness>,
    /// Backends that must run a part
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    require: Vec<String>,
    /// The largest share of the nodes that the CPU may run, 0 to 1
    #[arg(long, value_name = "SHARE")]
    max_cpu_share: Option<f64>,
    /// The most parts that the graph may fall into
    #[arg(long, value_name = "N")]
    max_parts: Option<usize>,
    /// What decides between backends: `cost` or `priority`
    #[arg(long, value_name = "WHAT", value_parser = policy)]
    policy: Option<Policy>,
    #[command(flatten)]
    rewrites: RewriteArgs,
}

/// Which rewrites of the graph are left out.
#[derive(Debug, Args)]
struct RewriteArgs {
    /// Leave out a rewrite of the graph (`show` lists those that were made), or `all`; may be repeated
    #[arg(long, value_name = "NAME")]
    without_rewrite: Vec<String>,
}

impl RewriteArgs {
    fn apply(&self, builder: Builder) -> Builder {
        self.without_rewrite.iter().fold(builder, |builder, name| match name.as_str() {
            "all" => builder.optimize(false),
            name => builder.without_rewrite(name),
        })
    }
}

fn strictness(text: &str) -> Result<Strictness, String> {
    Strictness::parse(text).ok_or_else(|| "expected `allow`, `warn` or `error`".to_owned())
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::parse(text).ok_or_else(|| "expected `cost` or `priority`".to_owned())
}

impl BackendArgs {
    fn runtime(&self, threads: Option<usize>) -> Result<Runtime, Failure> {
        Ok(self.builder(threads).build()?)
    }

    fn builder(&self, threads: Option<usize>) -> Builder {
        let builder = Runtime::builder().prober(crate::libraries::prober());
        let mut builder = self.rewrites.apply(builder);
        if !self.backends.is_empty() {
            builder = builder.backends(&self.backends);
        }
        if let Some(threads) = threads {
            builder = builder.threads(threads);
        }
        if let Some(file) = &self.plugins {
            builder = builder.plugins(file);
        }
        if let Some(policy) = self.policy {
            builder = builder.policy(policy);
        }
        builder.demand(self.demands()).usual_fallback(Strictness::Warn)
    }

    fn demands(&self) -> Demands {
        Demands {
            fallback: self.fallback,
            require: Some(self.require.clone()).filter(|names| !names.is_empty()),
            max_cpu_share: self.max_cpu_share,
            max_parts: self.max_parts,
        }
    }
}

/// Tells what placement wants the user to know.
fn warn(warnings: &[String]) {
    for warning in warnings {
        noteln!("warning: {warning}");
    }
}

/// Tells what a run wants the user to know: what is to be said of its plan, and what failed.
fn warn_of_run(receipt: &Receipt) {
    warn(&receipt.warnings);
    warn_of(&receipt.failovers);
}

/// Tells which backends failed in a run.
fn warn_of(failovers: &[Failover]) {
    for failover in failovers {
        let (backend, code, reason) = (&failover.target, failover.code, one_line(&failover.reason));
        noteln!("warning: `{backend}` failed ({code}) and the run went on without it: {reason}");
    }
}

/// What a provider said, as part of a line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Failures of backends, as JSON.
fn failovers_json(failovers: &[Failover]) -> serde_json::Value {
    failovers.iter().map(failover_json).collect()
}

fn failover_json(failover: &Failover) -> serde_json::Value {
    json!({ "backend": &*failover.target, "code": failover.code, "reason": failover.reason })
}

/// Columns of text, each as wide as its widest entry.
fn print_table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(text, &width)| format!("{text:width$}"));
        outln!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A number of bytes for people.
fn bytes_text(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if bytes >= size {
            #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
            return format!("{:.1} {unit}", bytes as f64 / size as f64);
        }
    }
    format!("{bytes} bytes")
}
