//! A graph on several targets, ready to run.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use remuda_base::Map;
use remuda_host::{Failure, StepTime};
use remuda_ir::{Graph, Val};
use remuda_plan::{Plan, Planner, Policy, ProviderId, Strictness};

use crate::ask::{Question, question};
use crate::bounds::{self, Bound};
use crate::build::Builder;
use crate::contract::Judge;
use crate::error::ExecError;
use crate::options::{Options, ShapeClass, wishes};
use crate::program::{Built, Part};
use crate::receipt::{Failover, Receipt};
use crate::remembered::Remembered;
use crate::run::{Broken, Runner};
use crate::select::Selection;
use crate::states::{StateShapes, States, Unsettled};
use crate::target::Target;
use crate::trial::{Trial, tried_before};

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
    /// What tells its states from others'.
    identity: Arc<()>,
    targets: Arc<[Target]>,
    states: Arc<StateShapes>,
    /// How many inputs the graph has.
    inputs: usize,
    /// Per shape class which runs are of it; none takes all that are left.
    classes: Vec<Vec<Bound>>,
    judge: Judge,
    /// Whether costs decide, not the order of targets.
    by_cost: bool,
    deadline: Option<Duration>,
    builder: Mutex<Builder>,
    current: RwLock<Arc<Built>>,
    /// What is run where inputs leave the bounds of `current`, once that has happened.
    unbounded: RwLock<Option<Arc<Built>>>,
    /// What came of comparing plans in real runs, once that has been done.
    pub(crate) trials: OnceLock<Vec<Trial>>,
}

impl Session {
    /// Asks, plans and compiles. The graph is verified and its types are inferred.
    ///
    /// # Errors
    /// When a node has nowhere to go, the contract is not met, or the CPU fails.
    pub fn new(graph: Graph, selection: &Selection, options: &Options) -> Result<Self, ExecError> {
        let states = StateShapes::new(&graph, &options.states)?;
        let Question { problem, conditions } = question(&graph, selection, options, &states)?;
        let wishes = wishes(&problem, selection, options)?;
        let by_cost = wishes.policy == Policy::Cost;
        let planner = Planner::new(problem, wishes)?;
        let inputs = graph.inputs.len();
        let classes = classes(&graph, options)?;
        let targets: Arc<[Target]> = selection.targets.clone().into();
        let opset = options.opset;
        // Over one target there is nothing to decide.
        let cache = options.cache.clone().filter(|_| targets.len() > 1);
        let remembered = cache.map(|cache| Remembered::new(cache, &graph, &targets, opset));
        let mut builder = Builder::new(graph, Arc::clone(&targets), options, planner, conditions);
        builder.remember(remembered);
        let contract = options.contract.clone();
        let missing = selection.missing.iter().map(ToString::to_string);
        let notices = missing.chain(options.notices.iter().cloned()).collect();
        let judge = Judge { contract, cpu_wanted: selection.cpu_wanted, notices, targets };
        let compares = options.canary && by_cost;
        let known = if compares { tried_before(&mut builder, &judge) } else { None };
        let (built, trials): (_, OnceLock<Vec<Trial>>) = match known {
            Some((built, trials)) => (built, trials.into()),
            None if options.canary => (judge.judged(builder.build()?)?, OnceLock::new()),
            None => (judge.judged(builder.build()?)?, Vec::new().into()),
        };
        Ok(Self {
            identity: Arc::default(),
            targets: Arc::clone(&judge.targets),
            states: Arc::new(states),
            inputs,
            classes,
            judge,
            by_cost,
            deadline: options.deadline,
            builder: Mutex::new(builder),
            current: RwLock::new(built),
            unbounded: RwLock::default(),
            trials,
        })
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

    /// Whether all that it may run on is the processor, in this very process.
    #[must_use]
    pub fn is_on_processor(&self) -> bool {
        self.targets().iter().all(Target::is_processor)
    }

    /// Bytes that the programs hold between runs, by target name.
    #[must_use]
    pub fn resident_bytes(&self) -> Map<String, u64> {
        let built = self.current();
        let mut bytes = Map::new();
        let mut counted: Vec<&Arc<Part>> = Vec::new();
        for part in built.classes.iter().flat_map(|class| class.steps.parts()) {
            if !counted.iter().any(|known| Arc::ptr_eq(known, part)) {
                counted.push(part);
                *bytes.entry(part.name.to_string()).or_insert(0) +=
                    part.program.memory().map_or(0, |(held, _)| held);
            }
        }
        bytes
    }

    pub(crate) fn current(&self) -> Arc<Built> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn judge(&self) -> &Judge {
        &self.judge
    }

    pub(crate) fn by_cost(&self) -> bool {
        self.by_cost
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Lets runs follow this from now on.
    pub(crate) fn follow(&self, built: Arc<Built>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = built;
        *self.unbounded.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether runs may follow this now.
    fn follows(&self, built: &Arc<Built>) -> bool {
        let unbounded = self.unbounded.read().unwrap_or_else(PoisonError::into_inner);
        Arc::ptr_eq(built, &self.current())
            || unbounded.as_ref().is_some_and(|other| Arc::ptr_eq(built, other))
    }

    /// The shape class of a run with these inputs.
    pub(crate) fn class_of(&self, inputs: &[Val]) -> usize {
        let takes = |bounds: &Vec<Bound>| bounds.iter().all(|b| b.left_by(inputs).is_none());
        self.classes.iter().position(takes).unwrap_or(self.classes.len() - 1)
    }

    /// What a run with these inputs follows, and how they leave the usual bounds if they do.
    fn built_for(
        &self,
        class: usize,
        inputs: &[Val],
    ) -> Result<(Arc<Built>, Option<String>), ExecError> {
        let usual = self.current();
        let Some(left) = usual.classes[class].bounds.iter().find_map(|bound| bound.left_by(inputs))
        else {
            return Ok((usual, None));
        };
        let known = self.unbounded.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(built) = known {
            return Ok((built, Some(left)));
        }
        let mut builder = self.builder();
        let built = self.judge.judged(builder.build_unbounded()?)?;
        *self.unbounded.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&built));
        Ok((built, Some(left)))
    }

    pub(crate) fn builder(&self) -> MutexGuard<'_, Builder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes empty states for [`Session::step`], each where the plan runs what uses it.
    ///
    /// # Errors
    /// When they cannot be made anywhere, or the contract forbids to make them elsewhere.
    pub fn states(&self) -> Result<States, ExecError> {
        let mut states = States::new(&self.identity, &self.states, &self.targets);
        loop {
            let built = self.current();
            match states.settle(&built.homes) {
                Ok(()) => return Ok(states),
                Err(unsettled) => {
                    let failover = self.resettle(&built, unsettled, &states)?;
                    states.pending.push(failover);
                }
            }
        }
    }

    /// Runs a graph without states. Inputs and outputs are in the order of the graph's.
    ///
    /// # Errors
    /// When the inputs do not fit, the run is cancelled, the CPU fails, or another target fails and
    /// the contract forbids to go on without it.
    pub fn run(
        &self,
        inputs: &[Val],
        request: &RunRequest<'_>,
    ) -> Result<(Vec<Val>, Receipt), ExecError> {
        self.run_over(None, inputs, request)
    }

    /// Runs a graph over states. If it fails, the states are as they were.
    ///
    /// # Errors
    /// As for [`Session::run`]; and [`ExecError::StatesLost`] when a target that failed kept states
    /// which are not mirrored: every sequence is empty then, and steps go on from their beginnings.
    pub fn step(
        &self,
        states: &mut States,
        inputs: &[Val],
        request: &RunRequest<'_>,
    ) -> Result<(Vec<Val>, Receipt), ExecError> {
        self.run_over(Some(states), inputs, request)
    }

    pub(crate) fn check(&self, states: Option<&States>, inputs: &[Val]) -> Result<(), ExecError> {
        if inputs.len() != self.inputs {
            let text = format!("expected {} inputs, got {}", self.inputs, inputs.len());
            return Err(ExecError::invalid(text));
        }
        match states {
            Some(states) if !states.belong_to(&self.identity) => {
                Err(ExecError::invalid("the states are of another session".to_owned()))
            }
            None if !self.states.types.is_empty() => {
                let text = format!("the graph has {} states, got none", self.states.types.len());
                Err(ExecError::invalid(text))
            }
            _ => Ok(()),
        }
    }

    fn run_over(
        &self,
        mut states: Option<&mut States>,
        inputs: &[Val],
        request: &RunRequest<'_>,
    ) -> Result<(Vec<Val>, Receipt), ExecError> {
        self.check(states.as_deref(), inputs)?;
        let mut failovers = states.as_deref_mut().map(States::take_failovers).unwrap_or_default();
        let ran = self.run_to_the_end(states.as_deref_mut(), inputs, request, &mut failovers);
        match (ran, states) {
            (Ok((outputs, receipt)), _) => Ok((outputs, Receipt { failovers, ..receipt })),
            (Err(error), Some(states)) => {
                states.pending = failovers;
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Runs, again and again while targets fail that can be done without; they are added to `failovers`.
    fn run_to_the_end(
        &self,
        mut states: Option<&mut States>,
        inputs: &[Val],
        request: &RunRequest<'_>,
        failovers: &mut Vec<Failover>,
    ) -> Result<(Vec<Val>, Receipt), ExecError> {
        let started = Instant::now();
        let class = self.class_of(inputs);
        loop {
            let (built, outside) = self.built_for(class, inputs)?;
            if let Some(states) = states.as_deref_mut()
                && let Err(unsettled) = states.settle(&built.homes)
            {
                failovers.push(self.resettle(&built, unsettled, states)?);
                continue;
            }
            let shared = states.as_deref().map(States::shared).unwrap_or_default();
            let deadline = self.deadline;
            let runner = Runner { targets: &self.targets, request, deadline, states: &shared };
            match runner.run(&built.classes[class], inputs) {
                Ok(ran) => {
                    states.into_iter().for_each(States::grown);
                    built.classes[class]
                        .times
                        .add(ran.calls.iter().map(|call| call.as_secs_f64() * 1e9));
                    let receipt = Receipt {
                        plan: built.plan.id,
                        class: built.plan.classes[class].name.clone(),
                        parts: ran.parts,
                        failovers: Vec::new(),
                        outside,
                        warnings: Arc::clone(&built.warnings),
                        moved: ran.moved,
                        time: started.elapsed(),
                    };
                    return Ok((ran.outputs, receipt));
                }
                Err(broken) => {
                    if let Some(states) = states.as_deref_mut() {
                        states.roll_back();
                    }
                    failovers.push(self.fail_over(&built, broken)?);
                }
            }
        }
    }

    /// What to do when states could not be settled: go on without who did not take them, or tell that
    /// they are lost.
    fn resettle(
        &self,
        built: &Arc<Built>,
        unsettled: Unsettled,
        states: &States,
    ) -> Result<Failover, ExecError> {
        match unsettled {
            Unsettled::Lost => Err(ExecError::StatesLost { sequences: states.sequences() }),
            Unsettled::Broken { target, failure } => {
                let part = built.plan.classes.first().map_or(0, |class| class.parts.len());
                self.fail_over(built, Broken { target, part, failure, timed_out: false })
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
        if last || code.is_empty() || self.judge.contract.fallback == Strictness::Error {
            let target = if last { String::new() } else { name.to_string() };
            return Err(ExecError::Failed { target, failure });
        }
        let mut builder = self.builder();
        // Another run may have seen to it already.
        if self.follows(failed) {
            if !builder.give_less(target, &failed.plan, &failure)? {
                builder.lost.insert(target, failure.to_string());
                builder.planner.unpin(ProviderId::from(target))?;
            }
            self.follow(self.judge.judged(builder.build()?)?);
        }
        let plan = self.current().plan.id;
        Ok(Failover { target: Arc::clone(name), part, code, reason: failure.to_string(), plan })
    }
}

/// Which runs are of which shape class.
fn classes(graph: &Graph, options: &Options) -> Result<Vec<Vec<Bound>>, ExecError> {
    if options.classes.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    let of_class = |class: &ShapeClass| {
        let bound = |(symbol, number): &(String, usize)| {
            let unknown = || {
                let name = &class.name;
                let text = format!("no input shows the dimension `{symbol}` of class `{name}`");
                ExecError::Wish(text)
            };
            bounds::at_most(symbol, *number, graph).ok_or_else(unknown)
        };
        class.up_to.iter().map(bound).collect()
    };
    options.classes.iter().map(of_class).collect()
}
