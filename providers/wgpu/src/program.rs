//! A region as lists of launches, one per sizes of its inputs.
//!
//! Weights are kept once ([`Weights`]); what is launched is planned when sizes are first met, and kept for
//! the next run with the same ones. A run writes inputs, submits once, reads outputs; what it appends to
//! caches is kept only when it went well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use remuda_base::Map;
use remuda_sdk::ir::{Def, Graph, StateRef, Val, ValueId};
use remuda_sdk::tensor::Tensor;
use remuda_sdk::{
    CellStep, CompileRequest, Compiled, Failure, ProgramInfo, RunRequest, StepTime, shaping_inputs,
};

use crate::cache::GpuCache;
use crate::gpu::Gpu;
use crate::lower::{CacheUse, Form, Lowering, Origin, Plan, Refusal};

mod held;
mod instance;
mod memory;
mod weights;
mod words;

use instance::{Instance, Key, Output};
use weights::Weight;
pub(crate) use weights::Weights;
use words::{invalid, tensor_of};

/// Lists of cells grow in steps of so many, so that a growing cache needs few instances.
const CELL_STEP: usize = 1024;
/// Instances that are kept.
const MOST_INSTANCES: usize = 8;

/// A region.
pub(crate) struct WgpuProgram {
    gpu: Arc<Gpu>,
    adapter: String,
    region: Graph,
    /// The states, in the order in which a run gives them.
    states: Vec<ValueId>,
    /// The nodes with caches, in order.
    caches: Vec<CacheUse>,
    /// Inputs whose content decides sizes, by their places.
    shaping: Vec<usize>,
    /// Most recently used last.
    instances: Mutex<Vec<Instance>>,
    shared: Arc<Weights>,
    weights: Mutex<Map<(ValueId, Form), Arc<Weight>>>,
}

/// How a refusal ends a compilation or run.
fn failure(node: Option<usize>, why: Refusal) -> Failure {
    Failure::Unsupported { node: node.and_then(|node| u32::try_from(node).ok()), text: why.text }
}

/// What a run gives.
struct Given<'r> {
    tensors: &'r [Tensor],
    steps: Vec<(&'r GpuCache, CellStep<'r>)>,
}

fn words(values: impl Iterator<Item = usize>) -> Vec<u8> {
    values.flat_map(|value| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()).collect()
}

impl Given<'_> {
    fn step(&self, slot: usize) -> Result<&CellStep<'_>, Failure> {
        let step = self.steps.get(slot).map(|(_, step)| step);
        step.ok_or_else(|| Failure::Internal(format!("there is no cache {slot}")))
    }

    /// The cell that each token's keys and values go to.
    fn places(&self, slot: usize) -> Result<Vec<u8>, Failure> {
        Ok(words(self.step(slot)?.added().iter().map(|&cell| cell as usize)))
    }

    /// The cells of all runs, one list after the other.
    fn cells(&self, slot: usize) -> Result<Vec<u8>, Failure> {
        Ok(words(self.step(slot)?.lists().iter().flatten().map(|&cell| cell as usize)))
    }

    /// For each token the part of the cells that it sees.
    fn spans(&self, slot: usize) -> Result<Vec<u8>, Failure> {
        let step = self.step(slot)?;
        let mut starts = Vec::with_capacity(step.lists().len());
        let mut end = 0;
        for list in step.lists() {
            starts.push(end);
            end += list.len();
        }
        let spans = step.seen().iter().flat_map(|(run, seen)| {
            let start = starts.get(*run).copied().unwrap_or(0);
            [start + seen.start, start + seen.end]
        });
        Ok(words(spans))
    }
}

impl WgpuProgram {
    pub(crate) fn new(
        gpu: Arc<Gpu>,
        shared: &Arc<Weights>,
        adapter: String,
        region: Graph,
        request: &CompileRequest<'_>,
    ) -> Result<Self, Failure> {
        let states = region.values().filter(|(_, value)| matches!(value.def, Def::State));
        let states = states.map(|(id, _)| id).collect();
        let shaping = shaping_inputs(&region);
        let plan = sampled(&region, &gpu, &shaping)?;
        let program = Self {
            gpu,
            adapter,
            region,
            states,
            caches: plan.caches,
            shaping,
            instances: Mutex::new(Vec::new()),
            shared: Arc::clone(shared),
            weights: Mutex::new(Map::new()),
        };
        let constants: Vec<_> = plan
            .spaces
            .iter()
            .filter_map(|space| match space.origin {
                Origin::Constant(id, form) => Some((id, form)),
                _ => None,
            })
            .collect();
        for (at, &(id, form)) in constants.iter().enumerate() {
            if request.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Failure::Cancelled);
            }
            program.weight(id, form)?;
            (request.progress)((at + 1) as f32 / constants.len() as f32);
        }
        Ok(program)
    }

    /// A constant of the region on the device.
    fn weight(&self, id: ValueId, form: Form) -> Result<Arc<Weight>, Failure> {
        let mut kept = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weight) = kept.get(&(id, form)) {
            return Ok(Arc::clone(weight));
        }
        let tensor = self.region.value(id).constant();
        let tensor =
            tensor.ok_or_else(|| Failure::Internal("a weight is no constant".to_owned()))?;
        let weight = self.shared.get(&self.gpu, tensor, form)?;
        kept.insert((id, form), Arc::clone(&weight));
        Ok(weight)
    }

    /// The value that a run gives for an input, or a constant.
    fn host<'v>(&'v self, tensors: &'v [Tensor], id: ValueId) -> Result<&'v Tensor, Failure> {
        let at = self.region.inputs.iter().position(|&input| input == id);
        let found = at.and_then(|at| tensors.get(at)).or_else(|| self.region.value(id).constant());
        found.ok_or_else(|| Failure::Unsupported {
            node: None,
            text: format!("`{}` is computed here, expected an input", self.region.value(id).name),
        })
    }

    fn cache<'s>(&self, states: &'s [StateRef], id: ValueId) -> Result<&'s GpuCache, Failure> {
        let at = self.states.iter().position(|&state| state == id);
        let state = at.and_then(|at| states.get(at));
        let cache = state.and_then(|state| state.as_any().downcast_ref::<GpuCache>());
        cache.ok_or_else(|| Failure::Invalid("a state was made by another provider".to_owned()))
    }

    fn begin<'s>(
        &self,
        tensors: &'s [Tensor],
        states: &'s [StateRef],
    ) -> Result<Given<'s>, Failure> {
        let begin = |used: &CacheUse| {
            let ints = |id| self.host(tensors, id)?.to_i64_vec().map_err(invalid);
            let cache = self.cache(states, used.state)?;
            let step = cache.begin(&ints(used.sequences)?, &ints(used.positions)?)?;
            Ok((cache, step))
        };
        let steps = self.caches.iter().map(begin).collect::<Result<_, Failure>>()?;
        Ok(Given { tensors, steps })
    }

    fn key(&self, given: &Given<'_>) -> Result<Key, Failure> {
        let content = |&at: &usize| given.tensors[at].to_i64_vec().map_err(invalid);
        let cells = |(cache, step): &(&GpuCache, CellStep<'_>)| {
            let listed: usize = step.lists().iter().map(Vec::len).sum();
            (cache.id, listed.next_multiple_of(CELL_STEP))
        };
        Ok(Key {
            dims: given.tensors.iter().map(|tensor| tensor.dims().to_vec()).collect(),
            content: self.shaping.iter().map(content).collect::<Result<_, _>>()?,
            cells: given.steps.iter().map(cells).collect(),
        })
    }

    /// Takes what was planned for these sizes, or plans it.
    fn instance(&self, key: Key, given: &Given<'_>) -> Result<Instance, Failure> {
        let mut kept = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(Instance::is_alive);
        if let Some(at) = kept.iter().position(|instance| instance.key == key) {
            return Ok(kept.remove(at));
        }
        drop(kept);
        Instance::new(self, key, given)
    }

    fn keep(&self, instance: Instance) {
        let mut kept = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(instance);
        while kept.len() > MOST_INSTANCES || excessive(&kept) {
            kept.remove(0);
        }
    }

    fn outputs(&self, instance: &Instance, tensors: &[Tensor]) -> Result<Vec<Val>, Failure> {
        let mut made = Vec::with_capacity(instance.outputs.len());
        instance.run(|output, words| {
            if let Output::Made { dtype, dims, .. } = output {
                made.push(Val::from(tensor_of(*dtype, dims, words)?));
            }
            Ok(())
        })?;
        let mut made = made.into_iter();
        let missing = || Failure::Internal("an output was not made".to_owned());
        let output = |output: &Output| match output {
            Output::Given(id) => self.host(tensors, *id).cloned().map(Val::from),
            Output::Made { .. } => made.next().ok_or_else(missing),
        };
        instance.outputs.iter().map(output).collect()
    }
}

/// Whether instances that were made long ago hold too much: together no more than the largest.
fn excessive(kept: &[Instance]) -> bool {
    let bytes = kept.iter().map(Instance::bytes);
    kept.len() > 2 && bytes.clone().sum::<u64>() > 2 * bytes.max().unwrap_or(0)
}

/// The region planned with sizes made up, for its constants and caches. Regions whose sizes depend on
/// their inputs' content may fail here: only a run knows them.
fn sampled(region: &Graph, gpu: &Gpu, shaping: &[usize]) -> Result<Plan, Failure> {
    let mut lowering = Lowering::new(region, gpu.limits);
    for (at, (_, node)) in region.nodes().enumerate() {
        match lowering.node(node) {
            Err(why) if shaping.is_empty() => return Err(failure(Some(at), why)),
            _ => {}
        }
    }
    Ok(lowering.plan)
}

impl Compiled for WgpuProgram {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let start = Instant::now();
        let tensors =
            inputs.iter().map(|val| val.tensor().cloned()).collect::<Result<Vec<_>, _>>()?;
        let given = self.begin(&tensors, request.states)?;
        let key = self.key(&given)?;
        let instance = self.instance(key, &given)?;
        if request.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            self.keep(instance);
            return Err(Failure::Cancelled);
        }
        let made = instance.upload(self, &given);
        let made = made.and_then(|()| self.outputs(&instance, &tensors));
        if !matches!(made, Err(Failure::DeviceLost(_))) {
            self.keep(instance);
        }
        let made = made?;
        given.steps.into_iter().for_each(|(_, step)| step.keep());
        if let Some(profile) = request.profile {
            let dims = made.first().and_then(|val| val.tensor().ok());
            profile(&StepTime {
                name: self.region.name.clone(),
                op: "region".to_owned(),
                kernel: format!("wgpu on {}", self.adapter),
                dims: dims.map_or_else(Vec::new, |tensor| tensor.dims().to_vec()),
                start: std::time::Duration::ZERO,
                time: start.elapsed(),
            });
        }
        Ok(made)
    }

    fn info(&self) -> ProgramInfo {
        let kept = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.iter().map(Instance::bytes);
        let (all, largest) = (bytes.clone().sum::<u64>(), bytes.max().unwrap_or(0));
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let held: u64 = weights.values().map(|weight| weight.memory.bytes()).sum();
        ProgramInfo { resident_bytes: held + all - largest, workspace_bytes: largest }
    }
}
