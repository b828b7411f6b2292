//! `remuda` on the command line.
//!
//! It translates: arguments to calls of the facade, values to text or JSON. Answers go to standard
//! output, everything else to standard error: `error: …`, its causes, `hint: …`. Exit codes: 0, 1 for
//! what failed, 2 for what was asked wrongly, 130 for Ctrl-C.
//!
//! A command is one file in `commands/`, with its arguments, and two lines in `commands.rs`.
#![forbid(unsafe_code)]

#[macro_use]
mod print;

mod bundled;
mod cancel;
mod commands;
mod failure;
mod inputs;
mod libraries;
mod machine;
mod npy;
mod show_value;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use commands::{Cli, run};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == libraries::WORKER) {
        return if remuda::libraries::serve_worker() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    }
    match Cli::try_parse_from(std::env::args_os().map(with_two_dashes)) {
        Ok(cli) => run(cli).unwrap_or_else(|failure| {
            failure.print();
            failure.exit_code()
        }),
        Err(error) => refuse(&error),
    }
}

/// Flags of llama.cpp that have one dash and two letters.
const TWO_LETTERS: [&str; 1] = ["-pg"];

/// Such a flag as the long one that it is here.
fn with_two_dashes(argument: OsString) -> OsString {
    let known = TWO_LETTERS.iter().find(|&&flag| argument == flag);
    known.map_or_else(|| argument.clone(), |flag| format!("-{flag}").into())
}

/// Help and versions are answers; wrong arguments are told in the same form as every other error.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        out!("{text}");
        return ExitCode::SUCCESS;
    }
    note!("{}", text.replace("\n  tip: ", "\nhint: "));
    ExitCode::from(2)
}
