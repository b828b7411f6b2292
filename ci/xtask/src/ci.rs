//! The checks, cheapest first. All of them run; what failed and what was left out is listed at the end.

use std::fmt;
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

/// The exit code of a check that this machine cannot make and that said why, as in other test drivers.
pub(crate) const SKIPPED: u8 = 77;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped,
    Failed,
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
        name: "provider over ggml",
        tier: Tier::Default,
        command: &["bash", "ci/ggml.sh"],
        environment: &[],
    },
    Step {
        name: "provider over wgpu",
        tier: Tier::Default,
        command: &["bash", "ci/wgpu.sh"],
        environment: &[],
    },
    Step {
        name: "same words on all providers",
        tier: Tier::Default,
        command: &["bash", "ci/providers.sh"],
        environment: &[],
    },
    Step {
        name: "64-bit Arm",
        tier: Tier::Default,
        command: &["bash", "ci/aarch64.sh", "lint"],
        environment: &[],
    },
    Step {
        name: "64-bit Arm, emulated",
        tier: Tier::Default,
        command: &["bash", "ci/aarch64.sh", "test"],
        environment: &[],
    },
    Step {
        name: "guide for providers",
        tier: Tier::Default,
        command: &["bash", "ci/provider_guide.sh"],
        environment: &[],
    },
    Step {
        name: "spills",
        tier: Tier::Default,
        command: &["cargo", "xtask", "spills"],
        environment: &[],
    },
    Step { name: "Miri", tier: Tier::Default, command: &["bash", "ci/miri.sh"], environment: &[] },
    Step { name: "fuzz", tier: Tier::Default, command: &["bash", "ci/fuzz.sh"], environment: &[] },
];

/// The names of the checks that ended in each way but the good one.
#[derive(Default)]
struct Summary {
    skipped: Vec<&'static str>,
    failed: Vec<&'static str>,
}

impl Summary {
    fn add(&mut self, name: &'static str, outcome: Outcome) {
        match outcome {
            Outcome::Passed => {}
            Outcome::Skipped => self.skipped.push(name),
            Outcome::Failed => self.failed.push(name),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.skipped.join(", ");
        match (self.failed.is_empty(), self.skipped.is_empty()) {
            (true, true) => f.write_str("all checks passed"),
            (true, false) => write!(f, "skipped, the reasons above: {skipped}; all others passed"),
            (false, true) => write!(f, "failed: {}", self.failed.join(", ")),
            (false, false) => write!(f, "failed: {}; skipped: {skipped}", self.failed.join(", ")),
        }
    }
}

/// Runs every step of the tier and fails if one of them did.
pub(crate) fn run(root: &Path, tier: Tier) -> Result<()> {
    let mut summary = Summary::default();
    let mut times = Vec::new();
    for step in STEPS.iter().filter(|step| step.tier <= tier) {
        println!("\n== {}: {}", step.name, step.command.join(" "));
        let started = Instant::now();
        summary.add(step.name, outcome(root, step));
        times.push(format!("{} {} s", step.name, started.elapsed().as_secs()));
    }
    println!("\n== times: {}", times.join(", "));
    if !summary.failed.is_empty() {
        bail!("{summary}")
    }
    println!("{summary}");
    Ok(())
}

fn outcome(root: &Path, step: &Step) -> Outcome {
    let Some((program, arguments)) = step.command.split_first() else { return Outcome::Failed };
    let status = Command::new(program)
        .args(arguments)
        .envs(step.environment.iter().copied())
        .current_dir(root)
        .status();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => Outcome::Passed,
        Ok(Some(code)) if code == i32::from(SKIPPED) => Outcome::Skipped,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: &'static [&'static str]) -> Outcome {
        let step = Step { name: "one", tier: Tier::Quick, command: code, environment: &[] };
        outcome(Path::new("."), &step)
    }

    #[test]
    fn exit_codes_tell_a_skip_from_a_failure() {
        assert!(ended(&["true"]) == Outcome::Passed);
        assert!(ended(&["sh", "-c", "exit 77"]) == Outcome::Skipped);
        assert!(ended(&["false"]) == Outcome::Failed);
        assert!(ended(&["sh", "-c", "kill -9 $$"]) == Outcome::Failed);
        assert!(ended(&["/nonexistent/program"]) == Outcome::Failed);
    }

    #[test]
    fn all_checks_passed_only_if_none_was_left_out() {
        let told = |outcomes: &[(&'static str, Outcome)]| {
            let mut summary = Summary::default();
            outcomes.iter().for_each(|&(name, outcome)| summary.add(name, outcome));
            summary.to_string()
        };
        let (passed, skipped, failed) = (Outcome::Passed, Outcome::Skipped, Outcome::Failed);
        assert_eq!(told(&[("a", passed)]), "all checks passed");
        assert_eq!(
            told(&[("a", passed), ("b", skipped)]),
            "skipped, the reasons above: b; all others passed"
        );
        assert_eq!(told(&[("a", failed), ("b", passed), ("c", failed)]), "failed: a, c");
        assert_eq!(told(&[("a", failed), ("b", skipped)]), "failed: a; skipped: b");
    }
}
