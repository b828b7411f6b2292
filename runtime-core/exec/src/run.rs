//! Runs a built plan once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remuda_host::{Failure, Operand, RunOptions, State, StepTime};
use remuda_ir::{Val, ValueType};

use crate::program::{BuiltClass, Flow, Part, Steps};
use crate::receipt::{Moved, PartReceipt};
use crate::session::RunRequest;
use crate::slots::Slots;
use crate::states::{SharedState, lock_for_run};
use crate::target::Target;
use crate::watch::{self, Job, Watched};

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
    pub(crate) fn run(&self, built: &BuiltClass, inputs: &[Val]) -> Result<Ran, Broken> {
        match &built.steps {
            Steps::Whole(part) => self.run_whole(part, inputs),
            Steps::Parts(flow) => self.run_parts(flow, inputs),
        }
    }

    fn run_whole(&self, part: &Arc<Part>, inputs: &[Val]) -> Result<Ran, Broken> {
        let started = Instant::now();
        let outputs = if self.watched(part).is_some() {
            let operands = inputs.iter().cloned().map(Operand::Host).collect();
            let made = self.call(0, part, operands, self.states)?;
            made.into_iter().map(Operand::into_host).collect::<Result<_, _>>()
        } else {
            let (cancel, profile) = (self.request.cancel, self.request.profile);
            with_states(self.states, |states| {
                part.program.run(inputs, &RunOptions { cancel, profile, states })
            })
        };
        let broken = |failure| Broken { target: part.target, part: 0, failure, timed_out: false };
        let outputs = outputs.map_err(broken)?;
        if !self.is_last(part) {
            let made = outputs.iter().zip(&part.types);
            made.enumerate()
                .try_for_each(|(at, (val, ty))| fits(at, val, ty.as_ref()))
                .map_err(broken)?;
        }
        let receipt = PartReceipt {
            target: Arc::clone(&part.name),
            nodes: part.nodes,
            time: started.elapsed(),
            moved: Moved::default(),
        };
        let calls = vec![receipt.time];
        Ok(Ran { outputs, parts: vec![receipt], moved: Moved::default(), calls })
    }

    fn run_parts(&self, flow: &Flow, inputs: &[Val]) -> Result<Ran, Broken> {
        let mut slots = Slots::new(flow, inputs, self.targets);
        let mut parts: Vec<PartReceipt> = Vec::with_capacity(flow.steps.len());
        let mut calls: Vec<Duration> = Vec::with_capacity(flow.steps.len());
        for step in &flow.steps {
            let (started, before) = (Instant::now(), slots.moved);
            let (at, part) = (step.of, &step.part);
            let mut operands = Vec::with_capacity(step.inputs.len());
            for &slot in &step.inputs {
                operands.push(self.fetch(&mut slots, slot, at, part)?);
            }
            let called = Instant::now();
            let states = step.states.iter().map(|&state| Arc::clone(&self.states[state]));
            let made = self.call(at, part, operands, &states.collect::<Vec<_>>())?;
            let call = called.elapsed();
            for (&slot, operand) in step.outputs.iter().zip(made) {
                slots.put(slot, part.target, operand);
            }
            step.frees.iter().for_each(|&slot| slots.free(slot));
            let moved = slots.moved.since(before);
            let time = started.elapsed();
            match (parts.get_mut(at), calls.get_mut(at)) {
                (Some(known), Some(taken)) => {
                    known.add(part.nodes, time, moved);
                    *taken += call;
                }
                _ => {
                    let target = Arc::clone(&part.name);
                    parts.push(PartReceipt { target, nodes: part.nodes, time, moved });
                    calls.push(call);
                }
            }
        }
        let outputs = flow.outputs.iter().map(|&slot| {
            let holder = slots.holder(slot).map_or(self.targets.len() - 1, |(target, _)| target);
            let part = parts.len();
            let broken = |failure| Broken { target: holder, part, failure, timed_out: false };
            slots.host(slot).map_err(broken)
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(Ran { outputs, parts, moved: slots.moved, calls })
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

    fn is_last(&self, part: &Part) -> bool {
        part.target + 1 == self.targets.len()
    }

    fn watched(&self, part: &Part) -> Option<Duration> {
        self.deadline.filter(|_| !self.is_last(part))
    }

    fn call(
        &self,
        at: usize,
        part: &Arc<Part>,
        inputs: Vec<Operand>,
        states: &[SharedState],
    ) -> Result<Vec<Operand>, Broken> {
        let broken =
            |failure, timed_out| Broken { target: part.target, part: at, failure, timed_out };
        let (cancel, profile) = (self.request.cancel, self.request.profile);
        let made = match self.watched(part) {
            None => with_states(states, |states| {
                part.program.run_operands(&inputs, &RunOptions { cancel, profile, states })
            }),
            Some(deadline) => {
                let job = Job { part: Arc::clone(part), inputs, states: states.to_vec() };
                match watch::run(job, deadline, cancel, profile.is_some()) {
                    Watched::Ended(result, steps) => {
                        forward(steps, profile);
                        result
                    }
                    Watched::TimedOut => {
                        let text = format!("it did not end within {} ms", deadline.as_millis());
                        return Err(broken(Failure::Internal(text), true));
                    }
                }
            }
        };
        let made = made.map_err(|failure| broken(failure, false))?;
        if !self.is_last(part) {
            check(&made, part).map_err(|failure| broken(failure, false))?;
        }
        Ok(made)
    }
}

/// Holds states for the time of a run.
pub(crate) fn with_states<R>(states: &[SharedState], run: impl FnOnce(&[&State]) -> R) -> R {
    let held: Vec<_> = states.iter().map(lock_for_run).collect();
    let states: Vec<&State> = held.iter().map(|state| &**state).collect();
    run(&states)
}

fn forward(steps: Vec<StepTime>, profile: Option<&dyn Fn(StepTime)>) {
    if let Some(profile) = profile {
        steps.into_iter().for_each(profile);
    }
}

/// Whether outputs are what the graph says.
fn check(made: &[Operand], part: &Part) -> Result<(), Failure> {
    for (at, (operand, ty)) in made.iter().zip(&part.types).enumerate() {
        match operand {
            Operand::Host(val) => fits(at, val, ty.as_ref())?,
            Operand::Device(tensor) => {
                fits_tensor(at, (tensor.dtype, &tensor.dims), ty.as_ref())?;
            }
        }
    }
    Ok(())
}

fn fits(at: usize, val: &Val, ty: Option<&ValueType>) -> Result<(), Failure> {
    match val {
        Val::Tensor(tensor) => fits_tensor(at, (tensor.dtype(), tensor.dims()), ty),
        _ => Ok(()),
    }
}

fn fits_tensor(
    at: usize,
    (dtype, dims): (remuda_tensor::DType, &[usize]),
    ty: Option<&ValueType>,
) -> Result<(), Failure> {
    let Some(ValueType::Tensor(ty)) = ty else { return Ok(()) };
    let known = ty.dims.as_deref();
    let agrees = dtype == ty.dtype
        && known.is_none_or(|known| {
            known.len() == dims.len()
                && known
                    .iter()
                    .zip(dims)
                    .all(|(dim, &size)| dim.as_usize().is_none_or(|dim| dim == size))
        });
    if agrees {
        return Ok(());
    }
    Err(Failure::Internal(format!("its output {at} should be {ty} and is {dtype}{dims:?}")))
}
