//! A graph, made ready to run: one step per node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use remuda_base::Map;
use remuda_ir::{BodyRunner, Def, Graph, KernelCtx, Node, OpError, Val, ValueId};
use remuda_kernels::ThreadPool;
use remuda_simd::Isa;

use crate::kernel::{Kernel, Preparation, Run};
use crate::profile::{Profile, StepTime};
use crate::{Arena, kernels};

/// How programs run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The threads, shared by all programs of a session.
    pub pool: Arc<ThreadPool>,
    /// The instructions.
    pub isa: Isa,
    /// Whether fast kernels are used at all; without them every node runs on its reference.
    pub fast: bool,
}

/// What one run is told.
#[derive(Debug, Default)]
pub struct RunOptions<'a> {
    /// Set by the caller when the result is no longer wanted.
    pub cancel: Option<&'a AtomicBool>,
    /// Told of the time of each step.
    pub profile: Option<Profile<'a>>,
}

/// A graph, made ready to run.
pub struct Program {
    steps: Vec<Step>,
    constants: Vec<(usize, Val)>,
    inputs: Vec<usize>,
    captures: Vec<usize>,
    outputs: Vec<usize>,
    value_count: usize,
    settings: Settings,
    /// Memory of earlier runs: as many arenas as runs have been under way at once.
    arenas: Mutex<Vec<Arena>>,
}

struct Step {
    node: Node,
    kernel: StepKernel,
    inputs: Vec<Option<usize>>,
    outputs: Vec<Option<usize>>,
    /// For each input whether this is its last use (and the last mention among the inputs).
    dies: Vec<bool>,
    /// Values that only bodies use, and for the last time.
    frees: Vec<usize>,
    bodies: Map<String, (Program, Vec<usize>)>,
}

enum StepKernel {
    Fast(Box<dyn Kernel>),
    Reference(&'static remuda_ir::OpDef),
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
        let last = last_uses(graph);
        let mut steps = Vec::new();
        for (place, (_, node)) in graph.nodes().enumerate() {
            steps.push(Step::new(graph, node, place, &last, settings)?);
        }
        let constants = graph.values().filter_map(|(id, value)| match &value.def {
            Def::Const(tensor) => Some((id.index(), tensor.clone().into())),
            _ => None,
        });
        let indices = |ids: &[ValueId]| ids.iter().map(|id| id.index()).collect();
        Ok(Self {
            steps,
            constants: constants.collect(),
            inputs: indices(&graph.inputs),
            captures: indices(&graph.captures),
            outputs: indices(&graph.outputs),
            value_count: graph.value_count(),
            settings: settings.clone(),
            arenas: Mutex::default(),
        })
    }

    /// How many steps have a fast kernel, and how many there are, bodies included.
    #[must_use]
    pub fn coverage(&self) -> (usize, usize) {
        let own =
            self.steps.iter().filter(|step| matches!(step.kernel, StepKernel::Fast(_))).count();
        let bodies = self.steps.iter().flat_map(|step| step.bodies.values());
        bodies.fold((own, self.steps.len()), |(fast, all), (program, _)| {
            let (more_fast, more) = program.coverage();
            (fast + more_fast, all + more)
        })
    }

    /// Runs the program. Inputs are in the order of the graph's.
    ///
    /// # Errors
    /// When a node refuses its inputs, memory does not suffice, or the run is cancelled; the message
    /// names the node.
    pub fn run(&self, inputs: Vec<Val>, options: &RunOptions<'_>) -> Result<Vec<Val>, OpError> {
        let never = AtomicBool::new(false);
        let cancel = options.cancel.unwrap_or(&never);
        let mut arena = self.lock_arenas().pop().unwrap_or_default();
        let result =
            self.run_within(inputs, Vec::new(), &mut arena, cancel, options.profile.as_ref());
        arena.settle();
        self.lock_arenas().push(arena);
        result
    }

    fn lock_arenas(&self) -> std::sync::MutexGuard<'_, Vec<Arena>> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_within(
        &self,
        inputs: Vec<Val>,
        captured: Vec<Val>,
        arena: &mut Arena,
        cancel: &AtomicBool,
        profile: Option<&Profile<'_>>,
    ) -> Result<Vec<Val>, OpError> {
        if inputs.len() != self.inputs.len() {
            let text = format!("expected {} inputs, got {}", self.inputs.len(), inputs.len());
            return Err(OpError::Invalid(text));
        }
        let mut values: Vec<Option<Val>> = vec![None; self.value_count];
        for (at, val) in &self.constants {
            values[*at] = Some(val.clone());
        }
        let given = self.inputs.iter().zip(inputs).chain(self.captures.iter().zip(captured));
        given.for_each(|(&at, val)| values[at] = Some(val));
        let mut run = Run { pool: &self.settings.pool, isa: self.settings.isa, arena, cancel };
        for step in &self.steps {
            if cancel.load(Ordering::Relaxed) {
                return Err(OpError::Cancelled);
            }
            let start = profile.map(|profile| profile.started.elapsed());
            step.run(&mut run, &mut values)
                .map_err(|error| error.at(&format!("node {}", step.node.label())))?;
            if let (Some(profile), Some(start)) = (profile, start) {
                let time = profile.started.elapsed().saturating_sub(start);
                (profile.report)(&step.times(&values, start, time));
            }
        }
        self.outputs.iter().map(|&at| fetch(&values, at)).collect()
    }
}

fn fetch(values: &[Option<Val>], at: usize) -> Result<Val, OpError> {
    values[at].clone().ok_or_else(|| OpError::Bug(format!("value {at} is not there")))
}

/// For each value the place of the node that uses it last; `None` if the graph gives it out or it is
/// a constant.
fn last_uses(graph: &Graph) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.value_count()];
    for (place, (_, node)) in graph.nodes().enumerate() {
        node.uses().for_each(|used| last[used.index()] = Some(place));
    }
    graph.outputs.iter().for_each(|output| last[output.index()] = None);
    for (id, value) in graph.values() {
        if value.constant().is_some() {
            last[id.index()] = None;
        }
    }
    last
}

impl Step {
    fn new(
        graph: &Graph,
        node: &Node,
        place: usize,
        last: &[Option<usize>],
        settings: &Settings,
    ) -> Result<Self, OpError> {
        let preparation = Preparation { graph, node, isa: settings.isa };
        let fast = if settings.fast { kernels::prepare(&preparation) } else { None };
        let kernel = match fast {
            Some(kernel) => StepKernel::Fast(kernel),
            None => StepKernel::Reference(reference_of(node)?),
        };
        let index = |ids: &[Option<ValueId>]| -> Vec<Option<usize>> {
            ids.iter().map(|id| id.map(ValueId::index)).collect()
        };
        let inputs = index(&node.inputs);
        let captured: Vec<usize> = node
            .attrs
            .bodies()
            .flat_map(|(_, body)| body.captures.iter().map(|id| id.index()))
            .collect();
        let is_last = |at: usize| last[at] == Some(place);
        let dies = (0..inputs.len()).map(|i| {
            let Some(at) = inputs[i] else { return false };
            let used_later = inputs[i + 1..].contains(&Some(at)) || captured.contains(&at);
            is_last(at) && !used_later
        });
        let mut bodies = Map::new();
        for (name, body) in node.attrs.bodies() {
            let program = Program::new(&body.graph, settings)?;
            let captures = body.captures.iter().map(|id| id.index()).collect();
            bodies.insert(name.to_owned(), (program, captures));
        }
        Ok(Self {
            dies: dies.collect(),
            frees: captured.into_iter().filter(|&at| is_last(at)).collect(),
            outputs: index(&node.outputs),
            node: node.clone(),
            inputs,
            kernel,
            bodies,
        })
    }

    fn run(&self, run: &mut Run<'_>, values: &mut [Option<Val>]) -> Result<(), OpError> {
        let take = |(at, dies): (&Option<usize>, &bool)| {
            at.map(|at| if *dies { values[at].take() } else { values[at].clone() })
                .map(|val| val.ok_or_else(|| OpError::Bug("an input is not there".to_owned())))
                .transpose()
        };
        let mut inputs =
            self.inputs.iter().zip(&self.dies).map(take).collect::<Result<Vec<_>, _>>()?;
        let made = match &self.kernel {
            StepKernel::Fast(kernel) => kernel.run(run, &mut inputs)?,
            StepKernel::Reference(def) => {
                let bodies = Bodies { step: self, values, cancel: run.cancel };
                (def.reference)(&KernelCtx { node: &self.node, inputs: &inputs, bodies: &bodies })?
            }
        };
        for (output, val) in self.outputs.iter().zip(made) {
            match output {
                Some(at) => values[*at] = Some(val),
                None => run.arena.reclaim(val),
            }
        }
        inputs.into_iter().flatten().for_each(|val| run.arena.reclaim(val));
        for &at in &self.frees {
            if let Some(val) = values[at].take() {
                run.arena.reclaim(val);
            }
        }
        Ok(())
    }

    fn times(
        &self,
        values: &[Option<Val>],
        start: std::time::Duration,
        time: std::time::Duration,
    ) -> StepTime {
        let first = self.outputs.iter().flatten().next().and_then(|&at| values[at].as_ref());
        let dims = match first {
            Some(Val::Tensor(tensor)) => tensor.dims().to_vec(),
            _ => Vec::new(),
        };
        StepTime {
            name: self.node.name.clone(),
            op: self.node.op.to_string(),
            kernel: match self.kernel {
                StepKernel::Fast(_) => "fast".to_owned(),
                StepKernel::Reference(_) => "reference".to_owned(),
            },
            dims,
            start,
            time,
        }
    }
}

fn reference_of(node: &Node) -> Result<&'static remuda_ir::OpDef, OpError> {
    remuda_ops::find(&node.op.domain, &node.op.name)
        .ok_or_else(|| OpError::Unsupported(format!("operator `{}` is not known", node.op)))
}

struct Bodies<'a> {
    step: &'a Step,
    values: &'a [Option<Val>],
    cancel: &'a AtomicBool,
}

impl BodyRunner for Bodies<'_> {
    fn run_body(&self, attr: &str, inputs: Vec<Val>) -> Result<Vec<Val>, OpError> {
        let (program, captures) = self
            .step
            .bodies
            .get(attr)
            .ok_or_else(|| OpError::Invalid(format!("there is no body `{attr}`")))?;
        let captured =
            captures.iter().map(|&at| fetch(self.values, at)).collect::<Result<_, _>>()?;
        let mut arena = program.lock_arenas().pop().unwrap_or_default();
        let result = program.run_within(inputs, captured, &mut arena, self.cancel, None);
        arena.settle();
        program.lock_arenas().push(arena);
        result
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
