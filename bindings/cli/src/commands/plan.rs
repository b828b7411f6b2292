//! `remuda plan`: who runs what of a model, what that costs, and why.

use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda::placement::{ClassPlan, Diff, Part, PartReceipt, Plan, Trial, show_ns};
use remuda::{Model, RunOptions};
use serde_json::json;

use super::{BackendArgs, bytes_text, print_table};
use crate::bundled;
use crate::failure::Failure;
use crate::inputs::InputArgs;

/// Arguments of `remuda plan`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    command: Option<PlanCommand>,
    /// The model: an ONNX file, or `digits` for the one inside this program
    #[arg(required = true)]
    model: Option<PathBuf>,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// Run the model so often and tell how long each part took; inputs that are not given are random
    #[arg(long, value_name = "RUNS", num_args = 0..=1, default_missing_value = "5")]
    measure: Option<usize>,
    /// Tell for one node why each backend did or did not get it
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Write the plan to a file, to be compared later
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Number of threads [default: the cores this process may use]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum PlanCommand {
    /// Compare two saved plans; the exit code is 1 if a node moved
    Diff {
        /// The plan before
        old: PathBuf,
        /// The plan now
        new: PathBuf,
    },
}

/// Shows a plan, or compares two. False if they differ.
pub(super) fn run(args: &PlanArgs) -> Result<bool, Failure> {
    if let Some(PlanCommand::Diff { old, new }) = &args.command {
        return diff(old, new);
    }
    let Some(path) = &args.model else { return Err(Failure::usage("expected a model")) };
    let runtime = args.backends.runtime(args.threads)?;
    let model = bundled::load(&runtime, path)?;
    let times = args.measure.map(|runs| measure(args, &model, runs)).transpose()?;
    let plan = model.placement();
    if let Some(file) = &args.save {
        save(file, &plan)?;
    }
    if let Some(name) = &args.node {
        print!("{}", explain(&plan, name)?);
    } else if args.json {
        println!("{:#}", to_json(&plan, times.as_deref(), &model));
    } else {
        print(&plan, times.as_deref());
    }
    if times.is_some() && !args.json {
        print_trials(model.trials());
    }
    for warning in model.placement_warnings().iter() {
        eprintln!("warning: {warning}");
    }
    Ok(true)
}

fn diff(old: &Path, new: &Path) -> Result<bool, Failure> {
    let diff = Diff::between(&read(old)?, &read(new)?);
    print!("{}", diff.text());
    Ok(diff.is_empty())
}

fn read(path: &Path) -> Result<Plan, Failure> {
    let file = |source| Failure::File { action: "read", path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(file)?;
    Plan::from_json(&text)
        .map_err(|error| Failure::usage(format!("`{}` is no plan: {error}", path.display())))
}

fn save(path: &Path, plan: &Plan) -> Result<(), Failure> {
    let file = |source| Failure::File { action: "write", path: path.to_owned(), source };
    std::fs::write(path, plan.to_json()).map_err(file)
}

/// The milliseconds of each part: the median of some runs, after one that is not counted.
fn measure(args: &PlanArgs, model: &Model, runs: usize) -> Result<Vec<f64>, Failure> {
    let values = args.inputs.or_random(model)?;
    let mut taken: Vec<Vec<PartReceipt>> = Vec::new();
    for _ in 0..=runs.max(1) {
        taken.push(model.run_with(values.clone(), &RunOptions::default())?.receipt.parts);
    }
    let parts = taken.last().map_or(0, Vec::len);
    let median = |part: usize| {
        let times = taken.iter().skip(1).filter_map(|run| run.get(part));
        let mut times: Vec<f64> = times.map(|part| part.time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(0.0)
    };
    Ok((0..parts).map(median).collect())
}

fn explain(plan: &Plan, name: &str) -> Result<String, Failure> {
    let node = plan.node_named(name).ok_or_else(|| {
        let near: Vec<&str> = plan
            .nodes
            .iter()
            .filter(|node| node.contains(name))
            .take(5)
            .map(String::as_str)
            .collect();
        let hint = match &near[..] {
            [] => "`remuda plan MODEL --json` lists all nodes".to_owned(),
            near => format!("there is `{}`", near.join("`, `")),
        };
        Failure::usage_hint(format!("the plan has no node `{name}`"), hint)
    })?;
    Ok(plan.explain(node))
}

fn name(plan: &Plan, part: &Part) -> String {
    plan.providers.get(part.provider.index()).map_or_else(String::new, |p| p.name.clone())
}

/// Bytes that are copied because of a part.
fn copied(class: &ClassPlan, part: usize) -> u64 {
    let needed =
        class.transfers.iter().filter(|copy| copy.needed.map(|at| at as usize) == Some(part));
    needed.map(|copy| copy.bytes).sum()
}

fn print(plan: &Plan, times: Option<&[f64]>) {
    for class in &plan.classes {
        let mut head = vec!["part", "backend", "nodes", "copied in", "predicted"];
        head.extend(times.map(|_| "measured"));
        let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
        for (at, part) in class.parts.iter().enumerate() {
            let predicted = show_ns(part.compute_ns + part.launch_ns);
            let mut row = vec![
                at.to_string(),
                name(plan, part),
                part.nodes.len().to_string(),
                bytes_text(copied(class, at)),
                format!("{predicted} ({})", part.source.as_str()),
            ];
            row.extend(times.map(|times| format!("{:.3} ms", times.get(at).unwrap_or(&0.0))));
            rows.push(row);
        }
        print_table(&rows);
        let cost = class.cost;
        println!(
            "\npredicted  {} (nodes {}, copies {}, launches {})",
            show_ns(cost.total_ns()),
            show_ns(cost.compute_ns),
            show_ns(cost.transfer_ns),
            show_ns(cost.launch_ns)
        );
    }
    if let Some(times) = times {
        println!("measured   {:.3} ms", times.iter().sum::<f64>());
    }
    println!(
        "plan       {} (by {}, from {})\n",
        plan.id,
        plan.policy.as_str(),
        plan.origin.as_str()
    );
    let head = ["backend", "weights", "peak", "budget"].map(str::to_owned).to_vec();
    let of_backend = plan.providers.iter().map(|used| {
        let budget = used.budget_bytes.map_or_else(|| "none".to_owned(), bytes_text);
        vec![
            used.name.clone(),
            bytes_text(used.weights_bytes),
            bytes_text(used.peak_bytes()),
            budget,
        ]
    });
    print_table(&std::iter::once(head).chain(of_backend).collect::<Vec<_>>());
}

/// What the first run found out by trying other plans.
fn print_trials(trials: &[Trial]) {
    if trials.is_empty() {
        return;
    }
    let ms = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
    let mut rows = vec![["tried on", "predicted", "measured", ""].map(str::to_owned).to_vec()];
    rows.extend(trials.iter().map(|trial| {
        let kept = if trial.kept { "kept" } else { "" };
        vec![trial.targets.join(", "), ms(trial.predicted), ms(trial.measured), kept.to_owned()]
    }));
    println!();
    print_table(&rows);
}

fn to_json(plan: &Plan, times: Option<&[f64]>, model: &Model) -> serde_json::Value {
    let parts = plan.classes.iter().flat_map(|class| {
        class.parts.iter().enumerate().map(move |(at, part)| {
            let nodes: Vec<&str> =
                part.nodes.iter().map(|node| plan.nodes[node.index()].as_str()).collect();
            json!({
                "class": class.name,
                "backend": name(plan, part),
                "nodes": nodes,
                "copied_in_bytes": copied(class, at),
                "predicted_ns": part.compute_ns + part.launch_ns,
                "source": part.source.as_str(),
                "measured_ms": times.and_then(|times| times.get(at)),
            })
        })
    });
    let backends = plan.providers.iter().map(|used| {
        json!({
            "name": used.name,
            "weights_bytes": used.weights_bytes,
            "peak_bytes": used.peak_bytes(),
            "budget_bytes": used.budget_bytes,
        })
    });
    json!({
        "plan": plan.id.to_string(),
        "policy": plan.policy.as_str(),
        "predicted_ns": plan.cost_ns,
        "parts": parts.collect::<Vec<_>>(),
        "backends": backends.collect::<Vec<_>>(),
        "warnings": &*model.placement_warnings(),
    })
}
