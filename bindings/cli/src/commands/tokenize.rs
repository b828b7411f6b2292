//! `remuda tokenize`: a text to the tokens of a model.

use std::io::Read;
use std::path::PathBuf;

use remuda::text::{Encode, TokenId, Tokenizer, load_tokenizer};
use serde_json::json;

use crate::failure::Failure;

/// Arguments of `remuda tokenize`.
#[derive(Debug, clap::Args)]
pub(super) struct TokenizeArgs {
    /// The model: a GGUF file, a `tokenizer.json`, or a folder that holds one
    #[arg(short, long)]
    model: PathBuf,
    /// The text; standard input if there is none
    #[arg(short, long)]
    prompt: Option<String>,
    /// Read the text from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// Print only the token ids, as `[1, 2, 3]`
    #[arg(long)]
    ids: bool,
    /// Do not add the token that starts a text
    #[arg(long)]
    no_bos: bool,
    /// Read marks such as `<|im_end|>` as plain text
    #[arg(long)]
    no_parse_special: bool,
    /// Print how many tokens there are
    #[arg(long)]
    show_count: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints tokens.
pub(super) fn run(args: &TokenizeArgs) -> Result<(), Failure> {
    let tokenizer =
        load_tokenizer(&args.model).map_err(|error| Failure::loading(&args.model, error))?;
    let text = text(args)?;
    let how = Encode { affixes: !args.no_bos, special: !args.no_parse_special };
    let tokens = tokenizer.encode(&text, how).map_err(remuda::Error::from)?;
    if args.json {
        outln!("{:#}", to_json(&tokenizer, &tokens));
    } else if args.ids {
        outln!("{tokens:?}");
    } else {
        for &token in &tokens {
            outln!("{token:>6} -> '{}'", tokenizer.shown(token).escape_debug());
        }
    }
    if args.show_count && !args.json {
        outln!("Total number of tokens: {}", tokens.len());
    }
    for note in tokenizer.notes() {
        noteln!("warning: {note}");
    }
    Ok(())
}

fn text(args: &TokenizeArgs) -> Result<String, Failure> {
    let failed = |path: PathBuf| move |source| Failure::File { action: "read", path, source };
    if let Some(prompt) = &args.prompt {
        return Ok(prompt.clone());
    }
    if let Some(path) = &args.file {
        return std::fs::read_to_string(path).map_err(failed(path.clone()));
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(failed(PathBuf::from("standard input")))?;
    Ok(text)
}

fn to_json(tokenizer: &Tokenizer, tokens: &[TokenId]) -> serde_json::Value {
    let token = |&id: &TokenId| {
        let piece = tokenizer.vocabulary().piece(id).unwrap_or_default();
        json!({ "id": id, "text": tokenizer.shown(id), "bytes": piece })
    };
    json!({ "count": tokens.len(), "tokens": tokens.iter().map(token).collect::<Vec<_>>() })
}
