//! A graph, made ready to run: one step per node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use remuda_cache::Cache;
use remuda_ir::{Def, Graph, OpError, StateRef, Val, ValueId, ValueType};
use remuda_kernels::{Context, ThreadPool};
use remuda_simd::Isa;

use crate::kernel::Run;
use crate::profile::Profile;
use crate::results::Returned;
use crate::{Arena, Packing, PagedCache};

mod fixed;
mod sizes;
mod step;
mod strided;
mod workspace;

pub use workspace::workspace_bytes;

use fixed::{Start, fixed_values};
use sizes::{Sizes, values_of_sizes};
use step::{Place, Step, StepKernel};
use strided::strided_values;

/// How programs run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The threads, shared by all programs of a session.
    pub pool: Arc<ThreadPool>,
    /// The instructions.
    pub isa: Isa,
    /// Whether fast kernels are used at all; without them every node runs on its reference.
    pub fast: bool,
    /// Whether kernels copy weights into forms of their own.
    pub packs: bool,
    /// Where these copies are kept for the next start.
    pub kept: Option<Cache>,
}

/// What one run is told.
#[derive(Debug, Default)]
pub struct RunOptions<'a> {
    /// Set by the caller when the result is no longer wanted.
    pub cancel: Option<&'a AtomicBool>,
    /// Told of the time of each step.
    pub profile: Option<Profile<'a>>,
    /// The graph's states, in the order of its values.
    pub states: &'a [StateRef],
}

/// A graph, made ready to run.
pub struct Program {
    steps: Vec<Step>,
    start: Start,
    /// Values that every run starts with, from the first run on.
    settled: OnceLock<Result<Vec<(usize, Val)>, OpError>>,
    /// Values that follow from the sizes of the inputs.
    sizes: Sizes,
    inputs: Vec<usize>,
    captures: Vec<usize>,
    outputs: Vec<usize>,
    states: Vec<(usize, Option<ValueType>)>,
    value_count: usize,
    settings: Settings,
    /// Memory of earlier runs: as many arenas as runs have been under way at once.
    arenas: Mutex<Vec<Arena>>,
    /// Memory of earlier results.
    returned: Arc<Returned>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Program({} steps)", self.steps.len())
    }
}

impl Program {
    /// Prepares a verified graph whose types are inferred.
    ///
    /// # Errors
    /// When a node's operator is not known.
    pub fn new(graph: &Graph, settings: &Settings) -> Result<Self, OpError> {
        let fixed = fixed_values(graph);
        let last = last_uses(graph, &fixed);
        let strided = strided_values(graph);
        let of_sizes = values_of_sizes(graph, &fixed);
        let (mut start, mut steps) = (Start::new(graph), Vec::new());
        for (number, (_, node)) in graph.nodes().enumerate() {
            let once = node.outputs.iter().flatten().any(|output| fixed[output.index()]);
            // Nothing is known yet when a step runs that is run once.
            let known: &[bool] = if once { &[] } else { &fixed };
            let place = Place {
                graph,
                number,
                last: &last,
                fixed: known,
                strided: &strided,
                of_sizes: &of_sizes,
            };
            let list = if once { &mut start.steps } else { &mut steps };
            list.push(Step::new(place, node, settings)?);
        }
        let indices = |ids: &[ValueId]| ids.iter().map(|id| id.index()).collect();
        Ok(Self {
            steps,
            start,
            settled: OnceLock::new(),
            sizes: Sizes::new(graph, &of_sizes),
            inputs: indices(&graph.inputs),
            captures: indices(&graph.captures),
            outputs: indices(&graph.outputs),
            states: graph
                .values()
                .filter(|(_, value)| value.def == Def::State)
                .map(|(id, value)| (id.index(), value.ty.clone()))
                .collect(),
            value_count: graph.value_count(),
            settings: settings.clone(),
            arenas: Mutex::default(),
            returned: Arc::default(),
        })
    }

    /// Has it share the memory of earlier results with others.
    #[must_use]
    pub(crate) fn sharing(mut self, returned: &Arc<Returned>) -> Self {
        self.returned = Arc::clone(returned);
        self
    }

    /// How many steps have a fast kernel, and how many there are, bodies included.
    #[must_use]
    pub fn coverage(&self) -> (usize, usize) {
        let steps = || self.start.steps.iter().chain(&self.steps);
        let own = steps().filter(|step| matches!(step.kernel, StepKernel::Fast(_))).count();
        let bodies = steps().flat_map(|step| step.bodies.values());
        bodies.fold((own, steps().count()), |(fast, all), (program, _)| {
            let (more_fast, more) = program.coverage();
            (fast + more_fast, all + more)
        })
    }

    /// Bytes of the copies that kernels make of weights before the first run, bodies' included.
    #[must_use]
    pub fn packed_bytes(&self) -> usize {
        let own = |step: &Step| match &step.kernel {
            StepKernel::Fast(kernel) => kernel.packed_bytes(),
            StepKernel::Reference(_) => 0,
        };
        let of_bodies = |step: &Step| -> usize {
            step.bodies.values().map(|(program, _)| program.packed_bytes()).sum()
        };
        self.steps.iter().map(|step| own(step) + of_bodies(step)).sum()
    }

    /// Runs the program. Inputs are in the order of the graph's.
    ///
    /// # Errors
    /// When a node refuses its inputs, memory does not suffice, or the run is cancelled; the message
    /// names the node. States are then as they were.
    pub fn run(&self, inputs: Vec<Val>, options: &RunOptions<'_>) -> Result<Vec<Val>, OpError> {
        let never = AtomicBool::new(false);
        let cancel = options.cancel.unwrap_or(&never);
        self.check_states(options.states)?;
        let caches: Vec<_> = options
            .states
            .iter()
            .filter_map(|state| state.as_any().downcast_ref::<PagedCache>())
            .map(|cache| (cache, cache.lengths()))
            .collect();
        let given = Given { inputs, captured: Vec::new(), states: options.states };
        let result = self.run_given(given, cancel, options.profile.as_ref());
        if result.is_err() {
            caches.iter().for_each(|(cache, lengths)| cache.restore(lengths));
        }
        Ok(self.returned.lend(result?))
    }

    fn check_states(&self, states: &[StateRef]) -> Result<(), OpError> {
        let fits = |((_, ty), state): (&(usize, Option<ValueType>), &StateRef)| matches!(ty, Some(ValueType::State(ty)) if ty == state.ty());
        if states.len() == self.states.len() && self.states.iter().zip(states).all(fits) {
            return Ok(());
        }
        Err(OpError::Invalid(format!(
            "expected {} states of the types that the graph says, got {}",
            self.states.len(),
            states.len()
        )))
    }

    /// Runs the program, as a body or as the whole graph.
    fn run_given(
        &self,
        given: Given<'_>,
        cancel: &AtomicBool,
        profile: Option<&Profile<'_>>,
    ) -> Result<Vec<Val>, OpError> {
        let mut arena = self.lock_arenas().pop().unwrap_or_default();
        self.returned.take().into_iter().for_each(|block| arena.offer(block));
        let result = self.run_within(given, &mut arena, cancel, profile);
        arena.settle();
        self.lock_arenas().push(arena);
        result
    }

    fn lock_arenas(&self) -> std::sync::MutexGuard<'_, Vec<Arena>> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every run starts with; found at the first.
    fn settled(&self) -> Result<&[(usize, Val)], OpError> {
        let settled = self.settled.get_or_init(|| {
            let Settings { pool, isa, kept, .. } = &self.settings;
            let packed = self.packed_bytes() as u64;
            let cache = kept.as_ref().filter(|cache| cache.has_room_for(packed));
            let packing = Packing { cx: Context::new(*isa, pool), cache };
            self.start.settle(&packing, &self.steps, self.value_count)
        });
        settled.as_deref().map_err(OpError::clone)
    }

    fn run_within(
        &self,
        given: Given<'_>,
        arena: &mut Arena,
        cancel: &AtomicBool,
        profile: Option<&Profile<'_>>,
    ) -> Result<Vec<Val>, OpError> {
        let Given { inputs, captured, states } = given;
        if inputs.len() != self.inputs.len() {
            let text = format!("expected {} inputs, got {}", self.inputs.len(), inputs.len());
            return Err(OpError::Invalid(text));
        }
        let mut values: Vec<Option<Val>> = vec![None; self.value_count];
        let sizes = self.sizes.of(&inputs);
        let recalled = sizes.as_deref().and_then(|sizes| self.sizes.recall(sizes));
        for (at, val) in
            self.settled()?.iter().chain(recalled.iter().flat_map(|known| known.iter()))
        {
            values[*at] = Some(val.clone());
        }
        let given = self.inputs.iter().zip(inputs).chain(self.captures.iter().zip(captured));
        given.for_each(|(&at, val)| values[at] = Some(val));
        for ((at, _), state) in self.states.iter().zip(states) {
            values[*at] = Some(Val::State(state.clone()));
        }
        let mut run = Run { pool: &self.settings.pool, isa: self.settings.isa, arena, cancel };
        let mut notes = Vec::new();
        for step in &self.steps {
            if cancel.load(Ordering::Relaxed) {
                return Err(OpError::Cancelled);
            }
            if step.of_sizes && recalled.is_some() {
                step.skip(&mut run, &mut values);
                continue;
            }
            step.run_timed(&mut run, &mut values, profile)?;
            if step.of_sizes && sizes.is_some() {
                self.sizes.note(&step.outputs, &values, &mut notes);
            }
        }
        if let (Some(sizes), None) = (sizes, recalled) {
            self.sizes.remember(sizes, notes);
        }
        self.outputs.iter().map(|&at| fetch(&values, at)).collect()
    }
}

/// The values that a run starts with.
struct Given<'a> {
    inputs: Vec<Val>,
    /// For a body: values of the graph around it.
    captured: Vec<Val>,
    states: &'a [StateRef],
}

fn fetch(values: &[Option<Val>], at: usize) -> Result<Val, OpError> {
    values[at].clone().ok_or_else(|| OpError::Bug(format!("value {at} is not there")))
}

/// For each value the place of the node that uses it last; `None` if it outlives all nodes: the graph
/// gives it out, it is a constant, or it is known before a run that uses it.
fn last_uses(graph: &Graph, fixed: &[bool]) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.value_count()];
    let mut outlives: Vec<bool> =
        graph.values().map(|(_, value)| value.constant().is_some()).collect();
    for (place, (_, node)) in graph.nodes().enumerate() {
        let in_runs = !node.outputs.iter().flatten().any(|output| fixed[output.index()]);
        for used in node.uses() {
            last[used.index()] = Some(place);
            outlives[used.index()] |= in_runs && fixed[used.index()];
        }
    }
    graph.outputs.iter().for_each(|output| outlives[output.index()] = true);
    for (last, outlives) in last.iter_mut().zip(outlives) {
        last.take_if(|_| outlives);
    }
    last
}

#[cfg(test)]
mod tests;
