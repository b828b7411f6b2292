//! The canary: a plan is compared with all-CPU and with the best single device in real runs, and the
//! fastest of them is kept; and part times of real runs are folded into costs when somebody asks for it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use remuda_ir::Val;
use remuda_plan::{ClassPlan, Plan, PlanId, ProviderId, Timed};

use crate::error::ExecError;
use crate::program::Built;
use crate::run::Runner;
use crate::session::{RunRequest, Session};
use crate::states::States;

/// One plan of a canary run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The targets that it may use, the CPU last.
    pub targets: Vec<Arc<str>>,
    /// The plan.
    pub plan: PlanId,
    /// What a run of the shape class that was tried should cost.
    pub predicted: Duration,
    /// The median of its runs.
    pub measured: Duration,
    /// Whether it is the one that runs follow now.
    pub kept: bool,
}

/// Most rounds over all plans, and how long they may take before there are no more.
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_millis(250);
/// The plan in use stays unless another is faster by more than measurements waver.
const CLEARLY: f64 = 0.97;

/// A plan to be tried.
struct Candidate {
    /// The targets it may use; absent for the plan in use.
    among: Option<Vec<usize>>,
    built: Arc<Built>,
    times: Vec<Duration>,
}

impl Session {
    /// Runs the plan in use, all on the CPU, and the best single device with the CPU, over these
    /// inputs, and keeps the fastest. Nothing is tried where only one plan is possible, where the order
    /// of backends decides, or where the contract rules the others out.
    ///
    /// States, if there are any, must be empty, and are empty afterwards.
    ///
    /// # Errors
    /// When the plan in use fails, in a way that another run would fail too.
    pub fn canary(
        &self,
        states: Option<&mut States>,
        inputs: &[Val],
        request: &RunRequest<'_>,
    ) -> Result<Vec<Trial>, ExecError> {
        self.check(states.as_deref(), inputs)?;
        let mut candidates = if self.by_cost() { self.candidates() } else { Vec::new() };
        if candidates.len() < 2 {
            return Ok(Vec::new());
        }
        let request = RunRequest { cancel: request.cancel, profile: None };
        let class = self.class_of(inputs);
        let mut tester = Tester { session: self, class, states, inputs, request };
        let started = Instant::now();
        for round in 0..=ROUNDS {
            for candidate in &mut candidates {
                candidate.times.extend(tester.run(&candidate.built));
            }
            if round > 0 && started.elapsed() > PATIENCE {
                break;
            }
        }
        // One that failed is as if it had not been tried; the plan in use fails over when it is run.
        candidates.retain(|candidate| candidate.among.is_none() || candidate.times.len() > 1);
        let best = fastest(&candidates);
        if let Some(among) = candidates.get(best).and_then(|best| best.among.clone()) {
            self.builder().among = Some(among);
            self.follow(Arc::clone(&candidates[best].built));
        }
        let trials = candidates.iter().enumerate().map(|(at, candidate)| Trial {
            targets: self.names(candidate),
            plan: candidate.built.plan.id,
            predicted: Duration::from_nanos(candidate.built.plan.classes[class].cost.total_ns()),
            measured: median(&candidate.times),
            kept: at == best,
        });
        Ok(trials.collect())
    }

    fn names(&self, candidate: &Candidate) -> Vec<Arc<str>> {
        let all: Vec<usize> = (0..self.targets().len()).collect();
        let among = candidate.among.as_ref().unwrap_or(&all);
        among.iter().map(|&at| Arc::clone(&self.targets()[at].name)).collect()
    }

    /// The plan in use, and what it is compared with.
    fn candidates(&self) -> Vec<Candidate> {
        let built = self.current();
        let last = self.targets().len() - 1;
        let mut found = vec![Candidate { among: None, built, times: Vec::new() }];
        let mut builder = self.builder();
        let mut add = |among: Vec<usize>, builder: &mut crate::build::Builder| {
            let built = builder.build_among(&among).ok();
            let built = built.and_then(|built| self.judge().judged(built).ok());
            let known = |built: &Arc<Built>| {
                found.iter().any(|known| same_placement(&known.built.plan, &built.plan))
            };
            if let Some(built) = built.filter(|built| !known(built)) {
                found.push(Candidate { among: Some(among), built, times: Vec::new() });
            }
        };
        add(vec![last], &mut builder);
        let single = (0..last).filter_map(|target| {
            let plan = builder.plan_among(&[target, last]).ok()?;
            Some((plan.cost_ns, target))
        });
        if let Some((_, target)) = single.min() {
            add(vec![target, last], &mut builder);
        }
        found
    }

    /// Plans again with the part times of past runs, and follows the new plan if it is clearly better.
    /// Gives whether it does.
    ///
    /// # Errors
    /// As for a new session.
    pub fn replan(&self) -> Result<bool, ExecError> {
        let built = self.current();
        let classes = built.plan.classes.iter().zip(&built.classes).enumerate();
        let costs: Vec<_> = classes
            .flat_map(|(at, (plan, class))| measured_costs(at, plan, &class.times.all()))
            .collect();
        if costs.is_empty() {
            return Ok(false);
        }
        let mut builder = self.builder();
        builder.planner.measured(&costs)?;
        let again = self.judge().judged(builder.build_from(Some(&built.plan))?)?;
        let moved = !same_placement(&again.plan, &built.plan);
        self.follow(again);
        Ok(moved)
    }
}

struct Tester<'a> {
    session: &'a Session,
    class: usize,
    states: Option<&'a mut States>,
    inputs: &'a [Val],
    request: RunRequest<'a>,
}

impl Tester<'_> {
    /// The time of a run, if it goes well. States are emptied.
    fn run(&mut self, built: &Built) -> Option<Duration> {
        if let Some(states) = self.states.as_deref_mut() {
            states.settle(&built.homes).ok()?;
        }
        let shared = self.states.as_deref().map(States::shared).unwrap_or_default();
        let runner = Runner {
            targets: self.session.targets(),
            request: &self.request,
            deadline: self.session.deadline(),
            states: &shared,
        };
        let started = Instant::now();
        let ran = runner.run(&built.classes[self.class], self.inputs);
        let time = started.elapsed();
        if let Some(states) = self.states.as_deref_mut() {
            states.roll_back();
        }
        ran.ok().map(|_| time)
    }
}

/// Whether two plans give every node to the same target.
fn same_placement(one: &Plan, other: &Plan) -> bool {
    let places = |plan: &Plan| -> Vec<ProviderId> {
        let placements = plan.classes.iter().flat_map(|class| &class.placements);
        placements.map(|placement| placement.provider).collect()
    };
    places(one) == places(other)
}

/// The median, the first run not counted.
fn median(times: &[Duration]) -> Duration {
    let mut times = times.get(1..).unwrap_or_default().to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The place of the fastest; the first unless another is clearly faster.
fn fastest(candidates: &[Candidate]) -> usize {
    let time = |at: usize| median(&candidates[at].times);
    if candidates.first().is_none_or(|first| first.times.len() < 2) {
        return 0;
    }
    let best = (0..candidates.len()).min_by_key(|&at| (time(at), at)).unwrap_or(0);
    if time(best).as_secs_f64() < time(0).as_secs_f64() * CLEARLY { best } else { 0 }
}

/// What the nodes of parts of a class cost whose time is known: their predicted costs, scaled to it.
#[expect(clippy::cast_precision_loss, reason = "measurements")]
fn measured_costs(at: usize, class: &ClassPlan, times: &[Option<f64>]) -> Vec<Timed> {
    let mut costs = Vec::new();
    for (part, time) in class.parts.iter().zip(times) {
        let Some(time) = time else { continue };
        let beside = (time - part.launch_ns as f64).max(time * 0.05);
        let scale = beside / (part.compute_ns as f64).max(1.0);
        for &node in &part.nodes {
            let placement = class.placements.get(node.index());
            costs.extend(placement.map(|placed| Timed {
                class: at,
                node,
                provider: placed.provider,
                ns: placed.cost_ns.max(1) as f64 * scale,
            }));
        }
    }
    costs
}

/// A time that follows what is measured, slowly.
#[derive(Debug, Default)]
pub(crate) struct Times(std::sync::Mutex<Vec<Option<f64>>>);

impl Times {
    /// How much a new measurement counts.
    const WEIGHT: f64 = 0.3;

    /// Takes the part times of one run, in nanoseconds.
    pub(crate) fn add(&self, run: impl Iterator<Item = f64>) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, new) in run.enumerate() {
            match times.get_mut(at) {
                Some(Some(old)) => *old += (new - *old) * Self::WEIGHT,
                Some(first) => *first = Some(new),
                // The first run packs weights and does not count.
                None => times.push(None),
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Option<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn times_follow_measurements_after_the_first() {
        let times = Times::default();
        times.add([100.0, 9.0].into_iter());
        assert_eq!(times.all(), [None, None]);
        times.add([10.0, 9.0].into_iter());
        times.add([20.0, 9.0].into_iter());
        assert_eq!(times.all(), [Some(13.0), Some(9.0)]);
    }
}
