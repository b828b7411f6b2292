//! A graph on several targets, ready to run.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use remuda_base::{Map, nearest};
use remuda_host::{Failure, StepTime};
use remuda_ir::{Graph, Val};
use remuda_plan::{NodeId, Plan, Planner, Policy, ProviderId};

use crate::ask::question;
use crate::build::Builder;
use crate::contract::{Contract, Strictness};
use crate::error::ExecError;
use crate::program::{Built, Steps};
use crate::receipt::{Failover, Receipt};
use crate::run::{Broken, Runner};
use crate::select::Selection;
use crate::target::Target;

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
    /// Bytes that may be used of a target's memory, by its name.
    pub budgets: Map<String, u64>,
    /// Nodes, by name, that must run on a target, by any of its names.
    pub pins: Vec<(String, String)>,
    /// Targets that must not run a node, or (without one) any.
    pub forbids: Vec<(Option<String>, String)>,
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
            budgets: Map::new(),
            pins: Vec::new(),
            forbids: Vec::new(),
        }
    }

    /// Whether the CPU may run nothing.
    pub(crate) fn forbids_cpu(&self, selection: &Selection) -> bool {
        self.contract.fallback == Strictness::Error && !selection.cpu_wanted
    }
}

/// What one run is told.
#[derive(Clone, Copy, Default)]
pub struct RunRequest<'a> {
    /// Set it to true, from any thread, to end the run.
    pub cancel: Option<&'a AtomicBool>,
    /// Told of each step as it ends.
    pub profile: Option<&'a dyn Fn(StepTime)>,
}

impl std::fmt::Debug for RunRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunRequest").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// A graph on several targets, ready to run. Runs may go on in many threads at once.
#[derive(Debug)]
pub struct Session {
    targets: Vec<Target>,
    /// How many inputs the graph has.
    inputs: usize,
    contract: Contract,
    cpu_wanted: bool,
    deadline: Option<Duration>,
    builder: Mutex<Builder>,
    current: RwLock<Arc<Built>>,
}

impl Session {
    /// Asks, plans and compiles. The graph is verified and its types are inferred.
    ///
    /// # Errors
    /// When a node has nowhere to go, the contract is not met, or the CPU fails.
    pub fn new(graph: Graph, selection: &Selection, options: &Options) -> Result<Self, ExecError> {
        let problem = question(&graph, selection, options)?;
        let wishes = wishes(&problem, selection, options)?;
        let planner = Planner::new(problem, wishes)?;
        let inputs = graph.inputs.len();
        let targets = selection.targets.clone();
        let mut builder = Builder::new(graph, targets.clone(), options.opset, planner);
        let built = builder.build()?;
        let mut session = Self {
            targets,
            inputs,
            contract: options.contract.clone(),
            cpu_wanted: selection.cpu_wanted,
            deadline: options.deadline,
            builder: Mutex::new(builder),
            current: RwLock::new(Arc::new(Built { warnings: Arc::new([]), ..built })),
        };
        let warnings = session.warnings(&session.current().plan)?;
        if let Ok(current) = session.current.get_mut()
            && let Some(built) = Arc::get_mut(current)
        {
            built.warnings = warnings.into();
        }
        Ok(session)
    }

    /// What the contract says of a plan: warnings, or an error.
    fn warnings(&self, plan: &Plan) -> Result<Vec<String>, ExecError> {
        let mut warnings = self.contract.violations(plan, &self.targets);
        if !warnings.is_empty() && !self.contract.only_warn {
            return Err(ExecError::Contract(warnings.join("; ")));
        }
        if self.contract.fallback == Strictness::Warn && !self.cpu_wanted {
            warnings.extend(Contract::fallbacks(plan, &self.targets));
        }
        Ok(warnings)
    }

    /// The plan that runs follow now.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.current().plan.clone()
    }

    /// The targets, in order of preference; plans name them by their place.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What the contract wants the user to know of the plan.
    #[must_use]
    pub fn plan_warnings(&self) -> Arc<[String]> {
        Arc::clone(&self.current().warnings)
    }

    /// Bytes that the programs hold between runs, by target name.
    #[must_use]
    pub fn resident_bytes(&self) -> Map<String, u64> {
        let built = self.current();
        let mut bytes = Map::new();
        let mut add = |name: &str, program: &remuda_host::Program| {
            *bytes.entry(name.to_owned()).or_insert(0) +=
                program.memory().map_or(0, |(held, _)| held);
        };
        match &built.steps {
            Steps::Whole(part) => add(&part.name, &part.program),
            Steps::Parts(flow) => {
                flow.steps.iter().for_each(|step| add(&step.part.name, &step.part.program));
            }
        }
        bytes
    }

    fn current(&self) -> Arc<Built> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn builder(&self) -> MutexGuard<'_, Builder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the graph. Inputs and outputs are in the order of the graph's.
    ///
    /// # Errors
    /// When the inputs do not fit, the run is cancelled, the CPU fails, or another target fails and
    /// the contract forbids to go on without it.
    pub fn run(
        &self,
        inputs: &[Val],
        request: &RunRequest<'_>,
    ) -> Result<(Vec<Val>, Receipt), ExecError> {
        if inputs.len() != self.inputs {
            let text = format!("expected {} inputs, got {}", self.inputs, inputs.len());
            let (target, failure) = (String::new(), Failure::Invalid(text));
            return Err(ExecError::Failed { target, failure });
        }
        let started = Instant::now();
        let mut failovers = Vec::new();
        loop {
            let built = self.current();
            let runner = Runner { targets: &self.targets, request, deadline: self.deadline };
            match runner.run(&built, inputs) {
                Ok(ran) => {
                    let receipt = Receipt {
                        plan: built.plan.id,
                        parts: ran.parts,
                        failovers,
                        warnings: Arc::clone(&built.warnings),
                        moved: ran.moved,
                        time: started.elapsed(),
                    };
                    return Ok((ran.outputs, receipt));
                }
                Err(broken) => failovers.push(self.fail_over(&built, broken)?),
            }
        }
    }

    /// Sets a failed target aside and builds the plan to go on with.
    fn fail_over(&self, failed: &Arc<Built>, broken: Broken) -> Result<Failover, ExecError> {
        let Broken { target, part, failure, timed_out } = broken;
        let code = match &failure {
            _ if timed_out => "timeout",
            Failure::OutOfMemory { .. } => "out-of-memory",
            Failure::DeviceLost(_) => "device-lost",
            Failure::Unsupported { .. } => "unsupported",
            Failure::Internal(_) => "internal",
            Failure::Invalid(_) | Failure::Cancelled => "",
        };
        let last = target + 1 == self.targets.len();
        let name = &self.targets[target].name;
        if last || code.is_empty() || self.contract.fallback == Strictness::Error {
            let target = if last { String::new() } else { name.to_string() };
            return Err(ExecError::Failed { target, failure });
        }
        let mut builder = self.builder();
        // Another run may have seen to it already.
        if Arc::ptr_eq(failed, &self.current()) {
            builder.lost.insert(target, failure.to_string());
            let built = builder.build()?;
            let warnings = self.warnings(&built.plan)?.into();
            *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                Arc::new(Built { warnings, ..built });
        }
        let plan = self.current().plan.id;
        Ok(Failover { target: Arc::clone(name), part, code, reason: failure.to_string(), plan })
    }
}

/// The user's wishes in the planner's words.
fn wishes(
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
        let found = selection.targets.iter().enumerate().filter(|(_, t)| t.answers_to(wish));
        let found: Vec<ProviderId> = found.map(|(at, _)| ProviderId::from(at)).collect();
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
