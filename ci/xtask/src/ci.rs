//! The checks, cheapest first. All of them run; what failed is listed at the end.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// What a change is checked with before it is shown.
    Quick,
    /// What decides whether it lands.
    Default,
}

/// One check.
struct Step {
    name: &'static str,
    tier: Tier,
    command: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        tier: Tier::Quick,
        command: &["cargo", "fmt", "--all", "--check"],
        environment: &[],
    },
    Step {
        name: "tidy",
        tier: Tier::Quick,
        command: &["cargo", "xtask", "tidy"],
        environment: &[],
    },
    Step {
        name: "generated files",
        tier: Tier::Quick,
        command: &["cargo", "xtask", "gen", "--check"],
        environment: &[],
    },
    Step {
        name: "spelling and Python style",
        tier: Tier::Quick,
        command: &["bash", "ci/style.sh"],
        environment: &[],
    },
    Step {
        name: "supply chain",
        tier: Tier::Quick,
        command: &["cargo", "xtask", "supply"],
        environment: &[],
    },
    Step {
        name: "lints",
        tier: Tier::Quick,
        command: &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        environment: &[],
    },
    Step {
        name: "tests",
        tier: Tier::Quick,
        command: &["cargo", "test", "--workspace", "--no-fail-fast"],
        environment: &[],
    },
    Step {
        name: "documentation",
        tier: Tier::Default,
        command: &["cargo", "doc", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    Step {
        name: "python",
        tier: Tier::Default,
        command: &["bash", "ci/python.sh"],
        environment: &[],
    },
    Step {
        name: "onnxruntime provider",
        tier: Tier::Default,
        command: &["bash", "ci/onnxruntime.sh"],
        environment: &[],
    },
    Step {
        name: "spills",
        tier: Tier::Default,
        command: &["cargo", "xtask", "spills"],
        environment: &[],
    },
    Step { name: "fuzz", tier: Tier::Default, command: &["bash", "ci/fuzz.sh"], environment: &[] },
];

/// Runs every step of the tier and fails if one of them did.
pub(crate) fn run(root: &Path, tier: Tier) -> Result<()> {
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for step in STEPS.iter().filter(|step| step.tier <= tier) {
        println!("\n== {}: {}", step.name, step.command.join(" "));
        let started = Instant::now();
        if !passes(root, step) {
            failed.push(step.name);
        }
        times.push(format!("{} {} s", step.name, started.elapsed().as_secs()));
    }
    println!("\n== times: {}", times.join(", "));
    if failed.is_empty() {
        println!("all checks passed");
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

fn passes(root: &Path, step: &Step) -> bool {
    let Some((program, arguments)) = step.command.split_first() else { return false };
    let status = Command::new(program)
        .args(arguments)
        .envs(step.environment.iter().copied())
        .current_dir(root)
        .status();
    status.is_ok_and(|status| status.success())
}
