//! `remuda perplexity`: how surprising a text is to a language model.

use std::io::IsTerminal;
use std::path::PathBuf;

use serde_json::json;

use super::BackendArgs;
use super::language::{LoadArgs, Told, step_failovers_json};
use crate::cancel;
use crate::failure::Failure;

/// Arguments of `remuda perplexity`.
#[derive(Debug, clap::Args)]
pub(super) struct PerplexityArgs {
    /// The model: a GGUF file
    #[arg(value_name = "MODEL", required_unless_present = "named")]
    model: Option<PathBuf>,
    /// The same, by a flag
    #[arg(short = 'm', long = "model", value_name = "MODEL", conflicts_with = "model")]
    named: Option<PathBuf>,
    /// The text
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Tokens of a window; the second half of each is scored
    #[arg(long, value_name = "N", default_value_t = 512)]
    window: usize,
    /// Score so many windows [default: all]
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,
    /// Number of threads [default: the cores this process may use]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    backends: BackendArgs,
}

/// Measures and prints.
pub(super) fn run(args: &PerplexityArgs) -> Result<(), Failure> {
    cancel::listen();
    let path = args.model.as_ref().or(args.named.as_ref());
    let path = path.ok_or_else(|| Failure::usage("there is no model"))?;
    let text = std::fs::read_to_string(&args.file).map_err(|source| Failure::File {
        action: "read",
        path: args.file.clone(),
        source,
    })?;
    let model = args.load.load(path, (&args.backends, args.threads))?;
    let mut tokens = model.tokenize(&text)?;
    let window = args.window.min(model.budget().context);
    if let Some(chunks) = args.chunks {
        tokens.truncate(chunks.saturating_mul(window));
    }
    let talks = std::io::stderr().is_terminal() && !args.json;
    let mut failed = Told::default();
    let found = model.perplexity(&tokens, window, cancel::flag(), &mut |so_far| {
        if talks {
            let (done, all) = so_far.windows;
            note!("\r{done} of {all} windows: {:.4} ", so_far.value);
        }
    });
    if talks {
        noteln!();
    }
    failed.tell(&model);
    let found = found?;
    if args.json {
        let windows = found.windows.1;
        outln!(
            "{:#}",
            json!({
                "perplexity": found.value, "error": found.error, "tokens": found.tokens,
                "windows": windows, "window": window,
                "failovers": step_failovers_json(&model.failovers()),
            })
        );
    } else {
        outln!("perplexity {:.4} ± {:.4}", found.value, found.error);
        noteln!("{} tokens scored, in windows of {window}", found.tokens);
    }
    Ok(())
}
