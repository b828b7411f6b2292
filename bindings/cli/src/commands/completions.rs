//! `remuda completions`: a script that teaches a shell these commands.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Arguments of `remuda completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "remuda", &mut script);
    out!("{}", String::from_utf8_lossy(&script));
}
