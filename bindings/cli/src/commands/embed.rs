//! `remuda embed`: texts to vectors.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{BackendArgs, bytes_text, failovers_json, warn, warn_of};
use crate::cancel;
use crate::failure::Failure;

/// Arguments of `remuda embed`.
#[derive(Debug, clap::Args)]
pub(super) struct EmbedArgs {
    /// The model: a GGUF file of an encoder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The texts, one vector each [default: the lines of standard input]
    texts: Vec<String>,
    /// One text per line of a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "texts")]
    file: Option<PathBuf>,
    /// Number of threads [default: the cores this process may use]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object with all vectors
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backends: BackendArgs,
}

/// Prints vectors: one JSON array per line, or all in one object.
pub(super) fn run(args: &EmbedArgs) -> Result<(), Failure> {
    cancel::listen();
    let runtime = args.backends.runtime(args.threads)?;
    let model =
        runtime.load_embedder(&args.model).map_err(|error| Failure::loading(&args.model, error))?;
    warn(&model.placement_warnings());
    let info = model.info();
    noteln!(
        "{} · {} features · {} tokens · weights {}",
        info.architecture,
        info.features,
        info.context,
        bytes_text(info.weight_bytes)
    );
    let (mut data, mut tokens, mut failovers) = (Vec::new(), 0, Vec::new());
    for (index, text) in texts(args)?.iter().enumerate() {
        let made = model.embed(text, cancel::flag())?;
        tokens += made.tokens;
        warn_of(&made.failovers);
        failovers.extend(made.failovers);
        if args.json {
            data.push(json!({ "object": "embedding", "index": index, "embedding": made.vector }));
        } else {
            outln!("{}", Value::from(made.vector));
        }
    }
    if args.json {
        let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        let model = args.model.to_string_lossy();
        outln!(
            "{:#}",
            json!({
                "object": "list", "model": model, "data": data, "usage": usage,
                "failovers": failovers_json(&failovers),
            })
        );
    }
    Ok(())
}

fn texts(args: &EmbedArgs) -> Result<Vec<String>, Failure> {
    if !args.texts.is_empty() {
        return Ok(args.texts.clone());
    }
    let (read, path) = match &args.file {
        Some(path) => (std::fs::read_to_string(path), path.clone()),
        None => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            (read.map(|_| text), PathBuf::from("standard input"))
        }
    };
    let text = read.map_err(|source| Failure::File { action: "read", path, source })?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
