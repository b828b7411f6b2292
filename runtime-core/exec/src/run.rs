//! Runs a built plan once.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use remuda_host::{Failure, Operand, RunOptions, StepTime};
use remuda_ir::Val;

use crate::call::{Caller, Profile, fits, forward, with_states};
use crate::program::{BuiltClass, Flow, Part, Step, Steps};
use crate::receipt::{Moved, PartReceipt};
use crate::session::RunRequest;
use crate::slots::Slots;
use crate::states::SharedState;
use crate::target::Target;

/// A run that went well.
pub(crate) struct Ran {
    pub(crate) outputs: Vec<Val>,
    pub(crate) parts: Vec<PartReceipt>,
    pub(crate) moved: Moved,
    /// How long each part took, copies apart.
    pub(crate) calls: Vec<Duration>,
}

/// A run that did not.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Whose fault it is.
    pub(crate) target: usize,
    /// In which part; the number of parts if it was while outputs were fetched.
    pub(crate) part: usize,
    pub(crate) failure: Failure,
    pub(crate) timed_out: bool,
}

/// Copies of fewer bytes take less time than a thread does to begin.
const WORTH_COPYING_AHEAD: u64 = 256 << 10;

/// What runs of parts need to know.
pub(crate) struct Runner<'a> {
    pub(crate) targets: &'a [Target],
    pub(crate) request: &'a RunRequest<'a>,
    /// The longest that a part may run anywhere but on the last target.
    pub(crate) deadline: Option<Duration>,
    /// The graph's states, in its order.
    pub(crate) states: &'a [SharedState],
}

impl Runner<'_> {
    fn caller(&self) -> Caller<'_> {
        Caller { targets: self.targets, cancel: self.request.cancel, deadline: self.deadline }
    }

    pub(crate) fn run(&self, built: &BuiltClass, inputs: &[Val]) -> Result<Ran, Broken> {
        match &built.steps {
            Steps::Whole(part) => self.run_whole(part, inputs),
            Steps::Parts(flow) => self.run_parts(flow, inputs),
        }
    }

    fn run_whole(&self, part: &Arc<Part>, inputs: &[Val]) -> Result<Ran, Broken> {
        let started = Instant::now();
        let caller = self.caller();
        let outputs = if caller.watched(part).is_some() {
            let operands = inputs.iter().cloned().map(Operand::Host).collect();
            let made = caller.call(0, part, operands, self.states, self.request.profile)?;
            made.into_iter().map(Operand::into_host).collect::<Result<_, _>>()
        } else {
            let (cancel, profile) = (self.request.cancel, self.request.profile);
            with_states(self.states, |states| {
                part.program.run(inputs, &RunOptions { cancel, profile, states })
            })
        };
        let broken = |failure| Broken { target: part.target, part: 0, failure, timed_out: false };
        let outputs = outputs.map_err(broken)?;
        if !caller.is_last(part) {
            let made = outputs.iter().zip(&part.types);
            made.enumerate()
                .try_for_each(|(at, (val, ty))| fits(at, val, ty.as_ref()))
                .map_err(broken)?;
        }
        let receipt = PartReceipt {
            target: Arc::clone(&part.name),
            nodes: part.nodes,
            turn: 0,
            time: started.elapsed(),
            moved: Moved::default(),
        };
        let calls = vec![receipt.time];
        Ok(Ran { outputs, parts: vec![receipt], moved: Moved::default(), calls })
    }

    fn run_parts(&self, flow: &Flow, inputs: &[Val]) -> Result<Ran, Broken> {
        let mut slots = Slots::new(flow, inputs, self.targets);
        let mut log = Log::default();
        let mut early: Vec<(usize, Moved)> = Vec::new();
        for (number, turn) in flow.turns.iter().enumerate() {
            let steps = &flow.steps[turn.clone()];
            let prepared = steps.iter().map(|step| self.prepare(&mut slots, step));
            let mut prepared = prepared.collect::<Result<Vec<_>, _>>()?;
            for (target, moved) in early {
                let needs = prepared.iter_mut().find(|job| job.step.part.target == target);
                needs.into_iter().for_each(|job| job.moved.add(moved));
            }
            let copied: Vec<_> = prepared.iter().map(|job| (job.time, job.moved)).collect();
            let done;
            (done, early) = self.run_and_copy(prepared, &mut slots, &flow.ahead[number]);
            for ((step, done), (copying, moved)) in steps.iter().zip(done).zip(copied) {
                forward(done.steps, self.request.profile);
                for (&slot, operand) in step.outputs.iter().zip(done.made?) {
                    if !step.frees.contains(&slot) {
                        slots.put(slot, step.part.target, operand);
                    }
                }
                log.add((number, step), (copying, done.time), moved);
            }
        }
        let outputs = flow.outputs.iter().map(|&slot| {
            let holder = slots.holder(slot).map_or(self.targets.len() - 1, |(target, _)| target);
            let part = log.parts.len();
            let broken = |failure| Broken { target: holder, part, failure, timed_out: false };
            slots.host(slot).map_err(broken)
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(Ran { outputs, parts: log.parts, moved: slots.moved, calls: log.calls })
    }

    /// Brings what a step needs to where it is needed.
    fn prepare<'s>(&self, slots: &mut Slots<'_>, step: &'s Step) -> Result<Prepared<'s>, Broken> {
        let (started, before) = (Instant::now(), slots.moved);
        let fetched = step.inputs.iter().map(|&slot| self.fetch(slots, slot, step.of, &step.part));
        let operands = fetched.collect::<Result<_, _>>()?;
        let states = step.states.iter().map(|&state| Arc::clone(&self.states[state])).collect();
        // What nobody needs after this step is held by its operands alone.
        step.frees.iter().for_each(|&slot| slots.free(slot));
        let moved = slots.moved.since(before);
        Ok(Prepared { step, operands, states, moved, time: started.elapsed() })
    }

    /// Runs the steps of a turn, and meanwhile makes the copies for the next one that are worth it. Gives
    /// what was copied for which target. What fails is tried again, and told, when it is needed.
    fn run_and_copy(
        &self,
        prepared: Vec<Prepared<'_>>,
        slots: &mut Slots<'_>,
        ahead: &[(usize, usize)],
    ) -> (Vec<Done>, Vec<(usize, Moved)>) {
        let is_worth_it =
            |&&(slot, target): &&_| slots.missing_bytes(slot, target) >= WORTH_COPYING_AHEAD;
        let copies: Vec<(usize, usize)> = ahead.iter().filter(is_worth_it).copied().collect();
        if copies.is_empty() {
            return (self.run_turn(prepared), Vec::new());
        }
        let copy = || {
            let each = copies.into_iter().map(|(slot, target)| {
                let before = slots.moved;
                let _ = slots.fetch(slot, target);
                (target, slots.moved.since(before))
            });
            each.collect()
        };
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name("remuda copies".to_owned());
            let copying = builder.spawn_scoped(scope, copy);
            let done = self.run_turn(prepared);
            let copied = copying.ok().and_then(|thread| thread.join().ok());
            (done, copied.unwrap_or_default())
        })
    }

    /// Runs steps that do not need each other at the same time, each but the first on a thread of its own.
    fn run_turn(&self, prepared: Vec<Prepared<'_>>) -> Vec<Done> {
        let caller = self.caller();
        let profile = self.request.profile;
        let prepared = match <[_; 1]>::try_from(prepared) {
            Ok([only]) => return vec![only.run(&caller, profile)],
            Err(prepared) => prepared,
        };
        let places: Vec<(usize, usize)> =
            prepared.iter().map(|job| (job.step.part.target, job.step.of)).collect();
        let jobs: Vec<_> = prepared.into_iter().map(|job| Mutex::new(Some(job))).collect();
        let profiled = profile.is_some();
        let run = |at: usize| {
            let job = jobs[at].lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some(job.run_apart(&caller, profiled))
        };
        let done: Vec<Option<Done>> = std::thread::scope(|scope| {
            let thread = |at| {
                let builder = std::thread::Builder::new().name("remuda part".to_owned());
                (at, builder.spawn_scoped(scope, move || run(at)))
            };
            let threads: Vec<_> = (1..jobs.len()).map(thread).collect();
            let first = run(0);
            let others = threads.into_iter().map(|(at, thread)| match thread {
                Ok(thread) => thread.join().ok().flatten(),
                // Without a thread it runs here.
                Err(_) => run(at),
            });
            std::iter::once(first).chain(others.collect::<Vec<_>>()).collect()
        });
        let ended = |(done, (target, part)): (Option<Done>, (usize, usize))| {
            done.unwrap_or_else(|| Done::without_answer(target, part))
        };
        done.into_iter().zip(places).map(ended).collect()
    }

    /// An input of a part. A value that cannot be read is the fault of whoever holds it, one that
    /// cannot be written that of whoever needs it.
    fn fetch(
        &self,
        slots: &mut Slots<'_>,
        slot: usize,
        at: usize,
        part: &Part,
    ) -> Result<Operand, Broken> {
        let broken = |target| move |failure| Broken { target, part: at, failure, timed_out: false };
        if let Some((holder, _)) = slots.holder(slot)
            && holder != part.target
            && self.targets[holder].provider.name() != part.owner(self.targets).provider.name()
        {
            slots.host(slot).map_err(broken(holder))?;
        }
        slots.fetch(slot, part.target).map_err(broken(part.target))
    }
}

/// A step with what it needs.
struct Prepared<'s> {
    step: &'s Step,
    operands: Vec<Operand>,
    states: Vec<SharedState>,
    /// What was copied for it, and how long that took.
    moved: Moved,
    time: Duration,
}

impl Prepared<'_> {
    fn run(self, caller: &Caller<'_>, profile: Profile<'_>) -> Done {
        let started = Instant::now();
        let (at, part) = (self.step.of, &self.step.part);
        let made = match part.nodes {
            // What it was to run makes nothing in this class.
            0 => Ok(Vec::new()),
            _ => caller.call(at, part, self.operands, &self.states, profile),
        };
        Done { made, time: started.elapsed(), steps: Vec::new() }
    }

    /// The same on a thread from which nobody can be told of steps as they end.
    fn run_apart(self, caller: &Caller<'_>, profiled: bool) -> Done {
        let steps = RefCell::new(Vec::new());
        let note = |step| steps.borrow_mut().push(step);
        let profile: Profile<'_> = if profiled { Some(&note) } else { None };
        let done = self.run(caller, profile);
        Done { steps: steps.into_inner(), ..done }
    }
}

/// A step that has run.
struct Done {
    made: Result<Vec<Operand>, Broken>,
    time: Duration,
    /// Those that nobody has been told of yet.
    steps: Vec<StepTime>,
}

impl Done {
    fn without_answer(target: usize, part: usize) -> Self {
        let failure = Failure::Internal("its thread ended without an answer".to_owned());
        let broken = Broken { target, part, failure, timed_out: false };
        Self { made: Err(broken), time: Duration::ZERO, steps: Vec::new() }
    }
}

/// What the parts of a run did so far.
#[derive(Default)]
struct Log {
    parts: Vec<PartReceipt>,
    calls: Vec<Duration>,
}

impl Log {
    /// Counts a step in: with the copies for it, and the call.
    fn add(
        &mut self,
        (turn, step): (usize, &Step),
        (copies, call): (Duration, Duration),
        moved: Moved,
    ) {
        let (part, time) = (&step.part, copies + call);
        match (self.parts.get_mut(step.of), self.calls.get_mut(step.of)) {
            (Some(known), Some(taken)) => {
                known.add(part.nodes, time, moved);
                *taken += call;
            }
            _ => {
                let target = Arc::clone(&part.name);
                self.parts.push(PartReceipt { target, nodes: part.nodes, turn, time, moved });
                self.calls.push(call);
            }
        }
    }
}
