//! What is known before the first run: constants, and what follows from them alone.
//!
//! Compiling reads no weights. At the first run the steps that depend on constants only are run, once;
//! kernels pack the weights that they want in another form; what nobody reads in its own form any
//! more is let go.

use remuda_base::Set;
use remuda_ir::{Def, Graph, Node, OpError, Val, ValueId};
use remuda_kernels::Context;
use remuda_tensor::Tensor;

use super::{Step, StepKernel};
use crate::kernel::Run;
use crate::{Arena, Packing};

/// How much larger than its inputs a result may be that is kept from run to run.
const MAX_GROWTH: usize = 8;

/// Results up to this size are kept whatever their inputs.
const SMALL_BYTES: usize = 1 << 16;

/// For each value of a graph whether it is known before the first run.
pub(super) fn fixed_values(graph: &Graph) -> Vec<bool> {
    let mut fixed: Vec<bool> =
        graph.values().map(|(_, value)| value.constant().is_some()).collect();
    for (_, node) in graph.nodes() {
        if is_fixed(graph, node, &fixed) {
            node.outputs.iter().flatten().for_each(|output| fixed[output.index()] = true);
        }
    }
    fixed
}

fn is_fixed(graph: &Graph, node: &Node, fixed: &[bool]) -> bool {
    let pure = remuda_ops::find(&node.op.domain, &node.op.name).is_some_and(|def| def.traits.pure);
    let known = node.uses().all(|used| fixed[used.index()]);
    if !pure || !known || node.attrs.bodies().next().is_some() {
        return false;
    }
    let bytes = |ids: &[Option<ValueId>]| -> Option<usize> {
        ids.iter().flatten().map(|&id| bytes_of(graph, id)).sum()
    };
    let (Some(read), Some(made)) = (bytes(&node.inputs), bytes(&node.outputs)) else {
        return false;
    };
    made <= read.saturating_mul(MAX_GROWTH).max(SMALL_BYTES)
}

/// Bytes of a tensor whose dimensions are numbers.
pub(super) fn bytes_of(graph: &Graph, id: ValueId) -> Option<usize> {
    let ty = graph.value(id).ty.as_ref()?.as_tensor()?;
    let count = ty.fixed_dims()?.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim))?;
    ty.dtype.bytes_for(count)
}

/// What the first run starts from.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Constants as the graph holds them.
    constants: Vec<(usize, Tensor)>,
    /// Steps that depend on constants alone, in order.
    pub(super) steps: Vec<Step>,
    /// Fixed values that the graph gives out or hands to bodies.
    shared: Set<usize>,
}

impl Start {
    pub(super) fn new(graph: &Graph) -> Self {
        let constants = graph.values().filter_map(|(id, value)| match &value.def {
            Def::Const(tensor) => Some((id.index(), tensor.clone())),
            _ => None,
        });
        let captured = graph.nodes().flat_map(|(_, node)| {
            node.attrs.bodies().flat_map(|(_, body)| body.captures.iter()).collect::<Vec<_>>()
        });
        let shared = graph.outputs.iter().chain(captured).map(|id| id.index()).collect();
        Self { constants: constants.collect(), steps: Vec::new(), shared }
    }

    /// Runs what runs once, lets the kernels of `steps` pack, and gives the values that every run
    /// starts with.
    pub(super) fn settle(
        &self,
        packing: &Packing<'_>,
        steps: &[Step],
        value_count: usize,
    ) -> Result<Vec<(usize, Val)>, OpError> {
        let mut values: Vec<Option<Val>> = vec![None; value_count];
        for (at, tensor) in &self.constants {
            values[*at] = Some(tensor.clone().into());
        }
        self.compute(packing.cx, &mut values)?;
        let users = Users::new(steps, value_count);
        pack(packing, steps, &users, &values)?;
        let kept = (0..value_count).filter_map(|at| Some((at, values[at].take()?)));
        kept.filter(|(at, _)| users.is_used(*at) || self.shared.contains(at))
            .map(|(at, val)| Ok((at, self.kept(at, val, &users)?)))
            .collect()
    }

    fn compute(
        &self,
        Context { pool, isa }: Context<'_>,
        values: &mut [Option<Val>],
    ) -> Result<(), OpError> {
        let never = std::sync::atomic::AtomicBool::new(false);
        let mut arena = Arena::default();
        for step in &self.steps {
            let given: Vec<(usize, Val)> = step
                .inputs
                .iter()
                .flatten()
                .filter_map(|&at| Some((at, values[at].clone()?)))
                .collect();
            for (at, val) in &given {
                values[*at] = Some(val.tensor()?.contiguous().into());
            }
            let mut run = Run { pool, isa, arena: &mut arena, cancel: &never };
            step.run(&mut run, values)
                .map_err(|error| error.at(&format!("node {}", step.node.label())))?;
            for (at, val) in given {
                val.tensor()?.discard();
                if values[at].is_some() {
                    values[at] = Some(val);
                }
            }
        }
        Ok(())
    }

    /// A fixed value in the form in which runs read it.
    fn kept(&self, at: usize, val: Val, users: &Users) -> Result<Val, OpError> {
        let tensor = val.tensor()?;
        let read = users.reads[at] || self.shared.contains(&at);
        if !read && !users.unaligned[at] {
            let shape = Tensor::zeros(tensor.dtype(), vec![1; tensor.rank()]);
            return Ok(match shape.and_then(|shape| shape.broadcast_to(tensor.dims())) {
                Ok(shape) => shape.into(),
                // Elements that share bytes have no strides.
                Err(_) => val,
            });
        }
        if !read || tensor.is_aligned() {
            return Ok(val);
        }
        let aligned = tensor.contiguous();
        tensor.discard();
        Ok(aligned.into())
    }
}

/// Lets kernels take what they pack, and gives back the memory that this touched.
fn pack(
    packing: &Packing<'_>,
    steps: &[Step],
    users: &Users,
    values: &[Option<Val>],
) -> Result<(), OpError> {
    for step in steps {
        let StepKernel::Fast(kernel) = &step.kernel else { continue };
        let places = kernel.packs();
        if places.is_empty() {
            continue;
        }
        let given = step.inputs.iter().enumerate().map(|(place, at)| {
            let val = at.filter(|_| places.contains(&place)).and_then(|at| values[at].as_ref());
            val.map(|val| Ok(val.tensor()?.contiguous())).transpose()
        });
        let given = given.collect::<Result<Vec<_>, OpError>>()?;
        kernel
            .pack(packing, &given)
            .map_err(|error| error.at(&format!("node {}", step.node.label())))?;
        let packed = places.iter().filter_map(|&place| step.inputs.get(place).copied().flatten());
        for at in packed.filter(|&at| !users.reads[at]) {
            if let Some(Val::Tensor(tensor)) = &values[at] {
                tensor.discard();
            }
        }
    }
    Ok(())
}

/// How the steps of every run use each value.
struct Users {
    /// Read as it is.
    reads: Vec<bool>,
    /// Read by kernels that take elements at any address.
    unaligned: Vec<bool>,
    /// Read once, before the first run.
    packs: Vec<bool>,
}

impl Users {
    fn new(steps: &[Step], value_count: usize) -> Self {
        let none = || vec![false; value_count];
        let mut users = Self { reads: none(), unaligned: none(), packs: none() };
        for step in steps {
            for (place, &at) in step.inputs.iter().enumerate() {
                let Some(at) = at else { continue };
                let kind = match &step.kernel {
                    StepKernel::Fast(kernel) if kernel.packs().contains(&place) => &mut users.packs,
                    StepKernel::Fast(kernel) if kernel.reads_unaligned(place) => {
                        &mut users.unaligned
                    }
                    _ => &mut users.reads,
                };
                kind[at] = true;
            }
        }
        users
    }

    fn is_used(&self, at: usize) -> bool {
        self.reads[at] || self.unaligned[at] || self.packs[at]
    }
}
