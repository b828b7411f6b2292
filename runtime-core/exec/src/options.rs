//! What a session is told when it is made, and the part of it that the planner needs.

use std::time::Duration;

use remuda_base::{Map, nearest};
use remuda_cache::Cache;
use remuda_plan::{Contract, NodeId, Policy, ProviderId, Strictness};

use crate::cost::Sizes;
use crate::error::ExecError;
use crate::select::Selection;
use crate::speeds::Speeds;
use crate::states::StateOptions;

/// Sizes that are planned for apart from others, over one residency of the weights: steps of few tokens
/// and steps of many, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeClass {
    /// Its name in plans.
    pub name: String,
    /// How often it runs relative to the others.
    pub runs: u32,
    /// How large named dimensions are taken to be; before what [`Options::sizes`] says.
    pub sizes: Map<String, usize>,
    /// It is followed by runs in which each of these dimensions is at most so large; without any, by all
    /// that no class before it wants.
    pub up_to: Vec<(String, usize)>,
}

/// What a session is told when it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The opset of ONNX's own domain that operators are of.
    pub opset: u32,
    /// Threads of the CPU, for the estimate of its costs.
    pub threads: usize,
    /// What decides; by default what the selection of targets says.
    pub policy: Option<Policy>,
    /// What the user demands.
    pub contract: Contract,
    /// The longest that a part may run anywhere but on the CPU; no limit by default.
    pub deadline: Option<Duration>,
    /// How large named dimensions are taken to be while planning.
    pub sizes: Map<String, usize>,
    /// The shape classes; none means that one plan is for all sizes.
    pub classes: Vec<ShapeClass>,
    /// How fast targets are, by name, where somebody has measured it.
    pub speeds: Map<String, Speeds>,
    /// Bytes that may be used of a target's memory, by its whole name: what [`crate::budgets`] gives.
    pub budgets: Map<String, u64>,
    /// What users are to be told of these options, with the warnings of every plan.
    pub notices: Vec<String>,
    /// Nodes, by name, that must run on a target, by any of its names.
    pub pins: Vec<(String, String)>,
    /// Targets that must not run a node, or (without one) any.
    pub forbids: Vec<(Option<String>, String)>,
    /// Where plans are kept, and what targets refused.
    pub cache: Option<Cache>,
    /// Whether the first run compares the plan with others: [`crate::Session::canary_once`].
    pub canary: bool,
    /// How large the graph's states are, if it has any.
    pub states: StateOptions,
}

impl Options {
    /// Options with nothing wished for.
    #[must_use]
    pub fn new(opset: u32, threads: usize) -> Self {
        Self {
            opset,
            threads,
            policy: None,
            contract: Contract::default(),
            deadline: None,
            sizes: Map::new(),
            classes: Vec::new(),
            speeds: Map::new(),
            budgets: Map::new(),
            notices: Vec::new(),
            pins: Vec::new(),
            forbids: Vec::new(),
            cache: None,
            canary: true,
            states: StateOptions::default(),
        }
    }

    /// How large named dimensions are taken to be, for every class.
    pub(crate) fn sizes_of_classes(&self) -> Vec<Sizes> {
        let of_class = |class: &ShapeClass| {
            let mut sizes = self.sizes.clone();
            sizes.extend(class.sizes.iter().map(|(name, size)| (name.clone(), *size)));
            Sizes(sizes)
        };
        match &self.classes[..] {
            [] => vec![Sizes(self.sizes.clone())],
            classes => classes.iter().map(of_class).collect(),
        }
    }

    /// Whether the CPU may run nothing.
    pub(crate) fn forbids_cpu(&self, selection: &Selection) -> bool {
        self.contract.fallback == Strictness::Error && !selection.cpu_wanted
    }
}

/// The user's wishes in the planner's words.
pub(crate) fn wishes(
    problem: &remuda_plan::Problem,
    selection: &Selection,
    options: &Options,
) -> Result<remuda_plan::Options, ExecError> {
    let node = |name: &String| {
        let at = problem.nodes.iter().position(|node| node.name == *name);
        at.map(NodeId::from).ok_or_else(|| {
            let near = nearest(name, problem.nodes.iter().map(|node| node.name.as_str()));
            let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            ExecError::Wish(format!("there is no node `{name}`{hint}"))
        })
    };
    let named = |wish: &String| {
        let targets = || selection.targets.iter().enumerate();
        // `cpu` is the CPU, even where another provider has a device of that kind.
        let own = targets().filter(|(_, target)| target.name.eq_ignore_ascii_case(wish));
        let mut found: Vec<ProviderId> = own.map(|(at, _)| ProviderId::from(at)).collect();
        if found.is_empty() {
            let meant = targets().filter(|(_, target)| target.answers_to(wish));
            found = meant.map(|(at, _)| ProviderId::from(at)).collect();
        }
        let unknown = || ExecError::Wish(format!("`{wish}` is none of the session's backends"));
        if found.is_empty() { Err(unknown()) } else { Ok(found) }
    };
    let mut wishes = remuda_plan::Options {
        policy: options.policy.unwrap_or(selection.policy),
        ..remuda_plan::Options::default()
    };
    for (name, target) in &options.pins {
        wishes.pins.push((node(name)?, named(target)?[0]));
    }
    for (name, target) in &options.forbids {
        let of_node = name.as_ref().map(node).transpose()?;
        wishes.forbids.extend(named(target)?.into_iter().map(|target| (of_node, target)));
    }
    if options.forbids_cpu(selection) {
        wishes.forbids.push((None, ProviderId::from(selection.targets.len() - 1)));
    }
    Ok(wishes)
}
