//! The project's own chores: `ci` runs every check, `tidy` looks at the shape of the repository,
//! `gen` writes the generated pages, `supply` and `spills` look at what the project is built from and
//! compiled to, `new op` writes the skeleton of an operator.
#![expect(clippy::print_stdout, reason = "a command-line program")]

mod ci;
mod generate;
mod header;
mod metadata;
mod new;
mod spills;
mod supply;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str =
    "usage: cargo xtask ci [--quick] | tidy | gen [--check] | supply | spills | new op NAME";

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = root()?;
    match words[..] {
        ["ci"] => ci::run(&root, ci::Tier::Default),
        ["ci", "--quick"] => ci::run(&root, ci::Tier::Quick),
        ["tidy"] => tidy::run(&root),
        ["supply"] => supply::run(&root),
        ["spills"] if !spills::HAS_LIMITS => {
            println!("skipped: the limits are those of x86-64");
            return Ok(ExitCode::from(ci::SKIPPED));
        }
        ["spills"] => spills::run(&target(&root)),
        ["gen"] => generate::run(&root, false),
        ["gen", "--check"] => generate::run(&root, true),
        ["new", "op", name] => new::operator(&root, name),
        _ => bail!("{USAGE}"),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The root of the repository: where this crate lies two folders below.
fn root() -> Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(here.ancestors().nth(2).context("ci/xtask lies two folders below the root")?.to_owned())
}

/// The folder of what is built.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
