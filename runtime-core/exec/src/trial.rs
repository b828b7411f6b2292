//! The canary: a plan is compared with all-CPU and with single devices in real runs, and the fastest of
//! them is kept; by later sessions with the same question, too.

mod tried;

use std::sync::Arc;
use std::time::{Duration, Instant};

use remuda_ir::Val;
use remuda_plan::{ClassPlan, Plan, PlanId, ProviderId};

use crate::build::Builder;
use crate::contract::Judge;
use crate::error::ExecError;
use crate::program::Built;
use crate::run::Runner;
use crate::session::{RunRequest, Session};
use crate::states::States;
use crate::target::Target;
pub(crate) use tried::{Timing, Tried, parse, print};

/// One plan of a canary run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The targets that it may use, the CPU last.
    pub targets: Vec<Arc<str>>,
    /// The plan.
    pub plan: PlanId,
    /// The shape classes that were tried.
    pub classes: Vec<TriedClass>,
    /// Whether it is the one that was kept.
    pub kept: bool,
    /// Whether an earlier session tried it, and this one takes its word.
    pub remembered: bool,
}

/// What runs of one shape class took in a canary run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedClass {
    /// Its name; empty where there is only one.
    pub name: String,
    /// How much it counts.
    pub runs: u32,
    /// What a run of the sizes that were planned for should cost.
    pub predicted: Duration,
    /// The median of the runs that were tried.
    pub measured: Duration,
}

impl Trial {
    /// What the classes took, each as often as it counts: what is compared.
    #[must_use]
    pub fn measured(&self) -> Duration {
        total(self.classes.iter().map(|class| (class.runs, class.measured)))
    }

    fn new(tried: &Tried, targets: &[Target], classes: &[ClassPlan], remembered: bool) -> Self {
        let of_class = |timing: &Timing| TriedClass {
            name: classes[timing.class].name.clone(),
            runs: classes[timing.class].runs,
            predicted: timing.predicted,
            measured: timing.measured,
        };
        Self {
            targets: tried.among.iter().map(|&at| Arc::clone(&targets[at].name)).collect(),
            plan: tried.plan,
            classes: tried.classes.iter().map(of_class).collect(),
            kept: tried.kept,
            remembered,
        }
    }
}

/// The plan that an earlier session kept after trying several, compiled, and what it tried; none if there
/// was no such session, or if the plan comes out differently now.
pub(crate) fn tried_before(
    builder: &mut Builder,
    judge: &Judge,
) -> Option<(Arc<Built>, Vec<Trial>)> {
    let tried = builder.tried(&judge.contract)?;
    let kept = tried.iter().find(|tried| tried.kept)?;
    let confined = kept.among.len() < judge.targets.len();
    builder.among = confined.then(|| kept.among.clone());
    let built = builder.build().and_then(|built| judge.judged(built)).ok();
    let Some(built) = built.filter(|built| built.plan.id == kept.plan) else {
        builder.among = None;
        return None;
    };
    let classes = &built.plan.classes;
    let trial = |tried: &Tried| Trial::new(tried, &judge.targets, classes, true);
    let trials = tried.iter().map(trial).collect();
    Some((built, trials))
}

fn total(classes: impl Iterator<Item = (u32, Duration)>) -> Duration {
    classes
        .map(|(runs, time)| time.saturating_mul(runs))
        .fold(Duration::ZERO, Duration::saturating_add)
}

/// Most turns of a plan, and how long all may take before there are no more.
const TURNS: usize = 7;
const PATIENCE: Duration = Duration::from_millis(500);
/// A plan that takes this many times as long as the fastest has no further turn: after the first one, which
/// anything may have disturbed, and after later ones.
const BEATEN_AT_ONCE: f64 = 3.0;
const BEATEN: f64 = 1.5;
/// The plan in use stays unless another is faster by more than measurements waver.
const CLEARLY: f64 = 0.97;
/// Plans over single devices that are tried at most.
const MOST_SINGLE: usize = 3;
/// A plan is not worth a try that is predicted to take this many times as long as the one in use really
/// takes: predictions are right to a factor of a few where nobody lies, and who lies claims to be fast.
const HOPELESS: u32 = 10;

/// A plan to be tried.
struct Candidate {
    /// The targets it may use; absent for the plan in use.
    among: Option<Vec<usize>>,
    built: Arc<Built>,
    /// Per turn what each step took.
    turns: Vec<Vec<Duration>>,
    failed: bool,
}

impl Candidate {
    fn new(among: Option<Vec<usize>>, built: Arc<Built>) -> Self {
        Self { among, built, turns: Vec::new(), failed: false }
    }

    fn is_measured(&self) -> bool {
        !self.failed && !self.turns.is_empty()
    }
}

impl Session {
    /// Compares plans in real runs ([`Session::canary`]) when it is called for the first time, unless
    /// [`Options::canary`](crate::Options::canary) says no or an earlier session did so for the same question.
    pub fn canary_once(
        &self,
        states: Option<&mut States>,
        steps: impl FnOnce() -> Vec<Vec<Val>>,
        request: &RunRequest<'_>,
    ) {
        // What goes wrong in a trial goes wrong again in the run, which says so.
        self.trials.get_or_init(|| self.canary(states, &steps(), request).unwrap_or_default());
    }

    /// What [`Session::canary_once`] found out, here or in an earlier session; nothing before it, or where there
    /// was nothing to try.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        self.trials.get().map_or(&[], Vec::as_slice)
    }

    /// Runs the plan in use, all on the CPU, and single devices with the CPU, each over the inputs of
    /// these steps in turn, and keeps the fastest; a shape class counts as often as it is said to run.
    /// Nothing is tried where only one plan is possible, where the order of backends decides, where the
    /// contract rules the others out, or where they are predicted to be hopeless.
    ///
    /// States, if there are any, must be empty, and are empty afterwards; within a round each step sees
    /// what those before it appended.
    ///
    /// # Errors
    /// When the inputs do not fit.
    pub fn canary(
        &self,
        states: Option<&mut States>,
        steps: &[Vec<Val>],
        request: &RunRequest<'_>,
    ) -> Result<Vec<Trial>, ExecError> {
        for inputs in steps {
            self.check(states.as_deref(), inputs)?;
        }
        let current = self.current();
        let rivals = if self.by_cost() { self.rivals(&current.plan) } else { Vec::new() };
        if rivals.is_empty() || steps.is_empty() {
            return Ok(Vec::new());
        }
        let request = RunRequest { cancel: request.cancel, profile: None };
        let classed = steps.iter().map(|inputs| (self.class_of(inputs), &inputs[..])).collect();
        let mut tester = Tester { session: self, steps: classed, states, request };
        let question = current.plan.problem;
        let mut candidates = vec![Candidate::new(None, current)];
        // How long it really takes tells who is worth a try.
        tester.turn(&mut candidates[0]);
        if !candidates[0].is_measured() {
            return Ok(Vec::new());
        }
        let most = tester.measured(&candidates[0]).saturating_mul(HOPELESS);
        for (among, plan) in rivals {
            if tester.predicted(&plan) <= most {
                candidates.extend(self.rival(among, &candidates));
            }
        }
        if candidates.len() < 2 {
            return Ok(Vec::new());
        }
        tester.race(&mut candidates);
        let best = tester.fastest(&candidates);
        if let Some(among) = candidates[best].among.clone() {
            self.builder().among = Some(among);
            self.follow(Arc::clone(&candidates[best].built));
        }
        let told = candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_measured());
        let tried: Vec<Tried> =
            told.map(|(at, candidate)| tester.tried(candidate, at == best)).collect();
        self.builder().keep_tried(question, &self.judge().contract, &tried);
        let classes = &candidates[best].built.plan.classes;
        let trial = |tried: &Tried| Trial::new(tried, self.targets(), classes, false);
        Ok(tried.iter().map(trial).collect())
    }

    /// Plans over fewer targets than the one in use, as they would be before anybody compiles them.
    fn rivals(&self, current: &Plan) -> Vec<(Vec<usize>, Plan)> {
        let last = self.targets().len() - 1;
        if last == 0 {
            return Vec::new();
        }
        let builder = self.builder();
        let plan = |among: Vec<usize>| Some((builder.plan_among(&among).ok()?, among));
        let mut single: Vec<_> = (0..last).filter_map(|at| plan(vec![at, last])).collect();
        single.sort_by_key(|(plan, among)| (plan.cost_ns, among.clone()));
        single.truncate(MOST_SINGLE);
        let mut rivals: Vec<(Vec<usize>, Plan)> = Vec::new();
        for (plan, among) in plan(vec![last]).into_iter().chain(single) {
            let same = |known: &Plan| same_placement(known, &plan);
            if !same(current) && !rivals.iter().any(|(_, known)| same(known)) {
                rivals.push((among, plan));
            }
        }
        rivals
    }

    /// A rival, compiled; unless that cannot be, or it comes to the same as one that is known.
    fn rival(&self, among: Vec<usize>, known: &[Candidate]) -> Option<Candidate> {
        let built = self.builder().build_rival(&among)?;
        let built = self.judge().judged(built).ok()?;
        let fresh = !known.iter().any(|known| same_placement(&known.built.plan, &built.plan));
        fresh.then(|| Candidate::new(Some(among), built))
    }
}

struct Tester<'a> {
    session: &'a Session,
    /// What is run in each turn, with its class.
    steps: Vec<(usize, &'a [Val])>,
    states: Option<&'a mut States>,
    request: RunRequest<'a>,
}

impl Tester<'_> {
    /// Gives the candidates turns until they are known well enough; those that are beaten have no more.
    fn race(&mut self, candidates: &mut [Candidate]) {
        let started = Instant::now();
        let mut racing: Vec<usize> = (0..candidates.len()).collect();
        for turn in 0..TURNS {
            for &at in &racing {
                self.turn(&mut candidates[at]);
            }
            // A plan in use that fails is failed over when it is run.
            if candidates[0].failed {
                return;
            }
            racing.retain(|&at| candidates[at].is_measured());
            let time = |&at: &usize| self.measured(&candidates[at]);
            let Some(best) = racing.iter().map(time).min() else { return };
            let beaten = if turn == 0 { BEATEN_AT_ONCE } else { BEATEN };
            racing.retain(|at| time(at) <= best.mul_f64(beaten));
            if racing.len() < 2 || started.elapsed() > PATIENCE {
                return;
            }
        }
    }

    /// Runs every step twice, of which the second time counts: the first packs weights, and meets the caches
    /// and the still busy threads of the plan before.
    fn turn(&mut self, candidate: &mut Candidate) {
        let built = Arc::clone(&candidate.built);
        let times = self.round(&built).and_then(|_| self.round(&built));
        match times {
            Some(times) => candidate.turns.push(times),
            None => candidate.failed = true,
        }
    }

    /// Runs every step once, from empty states to empty states.
    fn round(&mut self, built: &Built) -> Option<Vec<Duration>> {
        let times = self.times(built);
        if let Some(states) = self.states.as_deref_mut() {
            states.roll_back();
        }
        times
    }

    /// What each step takes, if all goes well.
    fn times(&mut self, built: &Built) -> Option<Vec<Duration>> {
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
        let time = |&(class, inputs): &(usize, &[Val])| {
            let started = Instant::now();
            let ran = runner.run(&built.classes[class], inputs);
            ran.ok().map(|_| started.elapsed())
        };
        self.steps.iter().map(time).collect()
    }

    /// The median time of a class that was tried; none of one that was not.
    fn median(&self, candidate: &Candidate, class: usize) -> Option<Duration> {
        let own = |times: &Vec<Duration>| {
            let steps = self.steps.iter().zip(times.clone());
            steps.filter(|((of, _), _)| *of == class).map(|(_, time)| time).collect::<Vec<_>>()
        };
        let mut times: Vec<Duration> = candidate.turns.iter().flat_map(own).collect();
        times.sort();
        times.get(times.len().saturating_sub(1) / 2).copied()
    }

    /// The classes that are tried, by their places, with what they took.
    fn classes<'c>(
        &'c self,
        candidate: &'c Candidate,
    ) -> impl Iterator<Item = (usize, &'c ClassPlan, Duration)> {
        let classes = candidate.built.plan.classes.iter().enumerate();
        classes.filter_map(|(at, class)| Some((at, class, self.median(candidate, at)?)))
    }

    /// What a turn comes to, each class as often as it counts.
    fn measured(&self, candidate: &Candidate) -> Duration {
        total(self.classes(candidate).map(|(_, class, time)| (class.runs, time)))
    }

    /// What the classes that are tried should cost, each as often as it counts.
    fn predicted(&self, plan: &Plan) -> Duration {
        let tried = |at: usize| self.steps.iter().any(|(class, _)| *class == at);
        let classes = plan.classes.iter().enumerate().filter(|(at, _)| tried(*at));
        total(classes.map(|(_, class)| (class.runs, Duration::from_nanos(class.cost.total_ns()))))
    }

    /// The place of the fastest; the first unless another is clearly faster.
    fn fastest(&self, candidates: &[Candidate]) -> usize {
        let time = |at: usize| self.measured(&candidates[at]);
        let known = (0..candidates.len()).filter(|&at| candidates[at].is_measured());
        let best = known.min_by_key(|&at| (time(at), at)).unwrap_or(0);
        let clearly = time(best).as_secs_f64() < time(0).as_secs_f64() * CLEARLY;
        if clearly && candidates[0].is_measured() { best } else { 0 }
    }

    fn tried(&self, candidate: &Candidate, kept: bool) -> Tried {
        let all = || (0..self.session.targets().len()).collect();
        let timing = |(class, plan, measured): (usize, &ClassPlan, Duration)| Timing {
            class,
            predicted: Duration::from_nanos(plan.cost.total_ns()),
            measured,
        };
        Tried {
            among: candidate.among.clone().unwrap_or_else(all),
            plan: candidate.built.plan.id,
            classes: self.classes(candidate).map(timing).collect(),
            kept,
        }
    }
}

/// Whether two plans give every node to the same target.
pub(crate) fn same_placement(one: &Plan, other: &Plan) -> bool {
    let places = |plan: &Plan| -> Vec<ProviderId> {
        let placements = plan.classes.iter().flat_map(|class| &class.placements);
        placements.map(|placement| placement.provider).collect()
    };
    places(one) == places(other)
}
