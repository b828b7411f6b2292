//! Runs one part on its target, under the deadline, and checks what it gives.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use remuda_host::{Failure, Operand, RunOptions, State, StepTime};
use remuda_ir::{Val, ValueType};

use crate::program::Part;
use crate::run::Broken;
use crate::states::{SharedState, lock_for_run};
use crate::target::Target;
use crate::watch::{self, Job, Watched};

/// Told of each step of a part as it ends.
pub(crate) type Profile<'a> = Option<&'a dyn Fn(StepTime)>;

/// What every call of a part needs to know; threads may share it.
pub(crate) struct Caller<'a> {
    pub(crate) targets: &'a [Target],
    pub(crate) cancel: Option<&'a AtomicBool>,
    /// The longest that a part may run anywhere but on the last target.
    pub(crate) deadline: Option<Duration>,
}

impl Caller<'_> {
    pub(crate) fn is_last(&self, part: &Part) -> bool {
        part.target + 1 == self.targets.len()
    }

    pub(crate) fn watched(&self, part: &Part) -> Option<Duration> {
        self.deadline.filter(|_| !self.is_last(part))
    }

    /// Runs a part, the plan's part `at` or a piece of it.
    pub(crate) fn call(
        &self,
        at: usize,
        part: &Arc<Part>,
        inputs: Vec<Operand>,
        states: &[SharedState],
        profile: Profile<'_>,
    ) -> Result<Vec<Operand>, Broken> {
        let broken =
            |failure, timed_out| Broken { target: part.target, part: at, failure, timed_out };
        let cancel = self.cancel;
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

/// Tells of steps that were gathered on another thread.
pub(crate) fn forward(steps: Vec<StepTime>, profile: Profile<'_>) {
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

/// Whether an output is what the graph says.
pub(crate) fn fits(at: usize, val: &Val, ty: Option<&ValueType>) -> Result<(), Failure> {
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
