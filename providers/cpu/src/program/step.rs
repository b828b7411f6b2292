//! One node of a program, with the kernel that computes it.

use std::sync::atomic::{AtomicBool, Ordering};

use remuda_base::Map;
use remuda_ir::{BodyRunner, Graph, KernelCtx, Node, OpError, Val, ValueId};

use super::{Given, Program, Settings, fetch};
use crate::kernel::{Kernel, Preparation, Run};
use crate::kernels;
use crate::profile::{Profile, StepTime};

pub(super) struct Step {
    pub(super) node: Node,
    pub(super) kernel: StepKernel,
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<Option<usize>>,
    /// Whether all it makes follows from the sizes of the graph's inputs.
    pub(super) of_sizes: bool,
    /// For each input whether this is its last use (and the last mention among the inputs).
    dies: Vec<bool>,
    /// Values that only bodies use, and for the last time.
    frees: Vec<usize>,
    pub(super) bodies: Map<String, (Program, Vec<usize>)>,
}

pub(super) enum StepKernel {
    Fast(Box<dyn Kernel>),
    Reference(&'static remuda_ir::OpDef),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Step({})", self.node.label())
    }
}

/// Where a step stands in its graph.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) graph: &'a Graph,
    /// Its number in the graph's order.
    pub(super) number: usize,
    /// The place of each value's last use.
    pub(super) last: &'a [Option<usize>],
    /// Which values are known before the step runs.
    pub(super) fixed: &'a [bool],
    /// Which values need not lie together.
    pub(super) strided: &'a [bool],
    /// Which values follow from the sizes of the graph's inputs.
    pub(super) of_sizes: &'a [bool],
}

impl Step {
    pub(super) fn new(place: Place<'_>, node: &Node, settings: &Settings) -> Result<Self, OpError> {
        let Place { graph, number, last, fixed, strided, of_sizes } = place;
        let (isa, packs) = (settings.isa, settings.packs);
        let widened = false;
        let preparation = Preparation { graph, node, isa, fixed, strided, widened, packs };
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
        let is_last = |at: usize| last[at] == Some(number);
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
            of_sizes: node.outputs.iter().flatten().any(|id| of_sizes[id.index()]),
            node: node.clone(),
            inputs,
            kernel,
            bodies,
        })
    }

    pub(super) fn run(&self, run: &mut Run<'_>, values: &mut [Option<Val>]) -> Result<(), OpError> {
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

    /// Runs and reports how long that took; errors name the node.
    pub(super) fn run_timed(
        &self,
        run: &mut Run<'_>,
        values: &mut [Option<Val>],
        profile: Option<&Profile<'_>>,
    ) -> Result<(), OpError> {
        let start = profile.map(|profile| profile.started.elapsed());
        self.run(run, values).map_err(|error| error.at(&format!("node {}", self.node.label())))?;
        if let (Some(profile), Some(start)) = (profile, start) {
            let time = profile.started.elapsed().saturating_sub(start);
            (profile.report)(&self.times(values, start, time));
        }
        Ok(())
    }

    /// Lets go what this step would have been the last to use.
    pub(super) fn skip(&self, run: &mut Run<'_>, values: &mut [Option<Val>]) {
        for (at, dies) in self.inputs.iter().zip(&self.dies) {
            if let Some(val) = at.filter(|_| *dies).and_then(|at| values[at].take()) {
                run.arena.reclaim(val);
            }
        }
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
        program.run_given(Given { inputs, captured, states: &[] }, self.cancel, None)
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
