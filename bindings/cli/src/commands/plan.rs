//! `remuda plan`: who runs what of a model, what that costs, and why.

mod json;
mod measure;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda::placement::{Diff, NodeId, Plan, Policy, Trial};
use remuda::{LanguageModel, Model};

use super::language::LoadArgs;
use super::{BackendArgs, warn};
use crate::bundled;
use crate::failure::Failure;
use crate::inputs::InputArgs;

/// Arguments of `remuda plan`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    command: Option<PlanCommand>,
    /// The model: an ONNX or GGUF file, or `digits` or `demo` for those inside this program
    #[arg(required = true)]
    model: Option<PathBuf>,
    #[command(flatten)]
    backends: BackendArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// Run the model so often and tell how long it took, beside the plan that the order of backends alone
    /// would give; inputs that are not given are random
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
    #[command(flatten)]
    language: LoadArgs,
}

#[derive(Debug, clap::Subcommand)]
enum PlanCommand {
    /// Compare two saved plans; the exit code is 1 if a node moved
    Diff {
        /// The plan before
        old: PathBuf,
        /// The plan now
        new: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A model of either sort.
enum Loaded {
    Graph(Model),
    Language(LanguageModel),
}

impl Loaded {
    /// Loads the model that the arguments name; `policy` comes before theirs.
    fn new(args: &PlanArgs, path: &Path, policy: Option<Policy>) -> Result<Self, Failure> {
        let mut builder = args.language.builder((&args.backends, args.threads));
        if let Some(policy) = policy {
            builder = builder.policy(policy);
        }
        let runtime = builder.build()?;
        let failed = |error| Failure::loading(path, error);
        if !bundled::is_named(path) && LanguageModel::is_one(path).map_err(failed)? {
            let loaded = runtime.load_language(path, &args.language.options()?);
            return loaded.map(Self::Language).map_err(failed);
        }
        bundled::load(&runtime, path).map(Self::Graph)
    }

    fn plan(&self) -> Plan {
        match self {
            Self::Graph(model) => model.placement(),
            Self::Language(model) => model.placement(),
        }
    }

    fn warnings(&self) -> Arc<[String]> {
        match self {
            Self::Graph(model) => model.placement_warnings(),
            Self::Language(model) => model.placement_warnings(),
        }
    }

    fn trials(&self) -> &[Trial] {
        match self {
            Self::Graph(model) => model.trials(),
            Self::Language(model) => model.trials(),
        }
    }
}

/// Shows a plan, or compares two. False if they differ.
pub(super) fn run(args: &PlanArgs) -> Result<bool, Failure> {
    if let Some(PlanCommand::Diff { old, new, json }) = &args.command {
        return diff(old, new, *json);
    }
    let Some(path) = &args.model else { return Err(Failure::usage("expected a model")) };
    let model = Loaded::new(args, path, None)?;
    let decided = model.plan();
    // Where cost decides between several, the order of them is what it is measured against.
    let rival =
        (args.measure.is_some() && decided.policy == Policy::Cost && decided.providers.len() > 1)
            .then(|| Loaded::new(args, path, Some(Policy::Priority)))
            .transpose()?;
    let times = measure::side_by_side(args, &model, rival.as_ref())?;
    // The first run may have found a faster plan.
    let plan = model.plan();
    let beside = rival.as_ref().map(Loaded::plan);
    let beside = beside.as_ref().map(|plan| (plan, &times.rival[..]));
    if let Some(file) = &args.save {
        save(file, &plan)?;
    }
    if let Some(name) = &args.node {
        let node = find(&plan, name)?;
        if args.json {
            outln!("{:#}", json::node(&plan, node));
        } else {
            out!("{}", plan.explain(node));
        }
    } else if args.json {
        outln!(
            "{:#}",
            show::to_json((&plan, &times.own), beside, (model.trials(), &model.warnings()))
        );
    } else {
        show::print(&plan, &times.own);
        show::print_trials(model.trials());
        if let Some(beside) = beside {
            show::print_rival((&plan, &times.own), beside);
        }
    }
    warn(&model.warnings());
    Ok(true)
}

fn diff(old: &Path, new: &Path, as_json: bool) -> Result<bool, Failure> {
    let diff = Diff::between(&read(old)?, &read(new)?);
    if as_json {
        outln!("{:#}", json::diff(&diff));
    } else {
        out!("{}", diff.text());
    }
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

/// The node of this name.
fn find(plan: &Plan, name: &str) -> Result<NodeId, Failure> {
    plan.node_named(name).ok_or_else(|| {
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
    })
}
