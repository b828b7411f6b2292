//! `remuda cache`: what is kept to be found again, and how to throw it away.

use std::time::SystemTime;

use remuda::cache::{Cache, Entry, Kind};
use serde_json::json;

use super::{bytes_text, print_table};
use crate::failure::Failure;

/// Arguments of `remuda cache`.
#[derive(Debug, clap::Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CacheCommand {
    /// List what is kept, the entry used last first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Throw away everything, or the entries of one kind
    Clear {
        /// The kind: `plan`, `refusals`, `trials`, `speeds` or `engine`
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: Option<Kind>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| "expected `plan`, `refusals`, `trials`, `speeds` or `engine`".to_owned())
}

pub(super) fn run(args: &CacheArgs) -> Result<(), Failure> {
    let standard = Cache::standard().map_err(|error| Failure::usage(error.to_string()))?;
    match &args.command {
        CacheCommand::List { json } => {
            list(standard.as_ref(), *json);
            Ok(())
        }
        CacheCommand::Clear { kind, json } => clear(standard.as_ref(), *kind, *json),
    }
}

/// What is said where there is no cache.
const NOTHING: &str = "nothing is kept: `REMUDA_CACHE` says so, or there is no folder for it";

fn clear(cache: Option<&Cache>, kind: Option<Kind>, as_json: bool) -> Result<(), Failure> {
    let cleared = cache.map(|cache| cache.clear(kind)).transpose();
    let cleared = cleared.map_err(|error| Failure::usage(error.to_string()))?;
    match cleared {
        _ if as_json => {
            let cleared = cleared.unwrap_or_default();
            outln!("{:#}", json!({ "entries": cleared.entries, "bytes": cleared.bytes }));
        }
        None => outln!("{NOTHING}"),
        Some(cleared) => {
            outln!("removed {} entries, {}", cleared.entries, bytes_text(cleared.bytes));
        }
    }
    Ok(())
}

fn list(cache: Option<&Cache>, as_json: bool) {
    let entries = cache.map(Cache::list).unwrap_or_default();
    if as_json {
        let entries = entries.iter().map(|entry| {
            json!({
                "kind": entry.kind.as_str(),
                "key": entry.key.to_string(),
                "bytes": entry.bytes,
                "used_seconds_ago": age(entry),
            })
        });
        let all = json!({
            "folder": cache.map(Cache::folder),
            "limit_bytes": cache.map(Cache::limit),
            "entries": entries.collect::<Vec<_>>(),
        });
        outln!("{all:#}");
        return;
    }
    let Some(cache) = cache else { return outln!("{NOTHING}") };
    if !entries.is_empty() {
        let mut rows = vec![["kind", "key", "size", "used"].map(str::to_owned).to_vec()];
        rows.extend(entries.iter().map(|entry| {
            let key = entry.key.to_string().chars().take(16).collect();
            let used = format!("{} ago", age_text(age(entry)));
            vec![entry.kind.as_str().to_owned(), key, bytes_text(entry.bytes), used]
        }));
        print_table(&rows);
        outln!();
    }
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    outln!(
        "{} entries, {} of {} in {}",
        entries.len(),
        bytes_text(bytes),
        bytes_text(cache.limit()),
        cache.folder().display()
    );
}

fn age(entry: &Entry) -> u64 {
    SystemTime::now().duration_since(entry.used).map_or(0, |age| age.as_secs())
}

fn age_text(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
