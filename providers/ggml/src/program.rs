//! A region as graphs of ggml, one per sizes of its inputs.
//!
//! Weights are kept once ([`Weights`]); what is computed with is made when sizes are first met, and kept
//! for the next run with the same ones. A run writes inputs, computes, reads outputs; what it appends
//! to caches is kept only when it went well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use remuda_sdk::ir::{Def, Graph, StateRef, Val, ValueId};
use remuda_sdk::tensor::{DType, Tensor};
use remuda_sdk::{Compiled, Failure, ProgramInfo, RunRequest, StepTime, shaping_inputs};

use crate::api::{Computed, Library, Refusal};
use crate::cache::{CellCache, Step, mask, places, reach};
use crate::device::GgmlDevice;
use crate::lower::{CacheUse, Lowering, Rows, Sources, Upload, capacity};

mod instance;
mod weights;

use instance::{Instance, Key, Output};
use weights::Weights;

/// Cells are looked at in steps of so many, so that a growing cache needs few graphs.
const CELL_STEP: usize = 256;
/// Graphs that are kept.
const MOST_INSTANCES: usize = 8;

/// A region.
pub(crate) struct GgmlProgram {
    library: &'static Library,
    device: Arc<GgmlDevice>,
    region: Graph,
    /// The states, in the order in which a run gives them.
    states: Vec<ValueId>,
    /// The nodes with caches, in order.
    caches: Vec<CacheUse>,
    /// Inputs whose content decides sizes, by their places.
    shaping: Vec<usize>,
    /// Most recently used last.
    instances: Mutex<Vec<Instance>>,
    weights: Weights,
}

/// How a refusal ends a compilation or run.
fn failure(node: Option<usize>, why: Refusal) -> Failure {
    if why.code == "memory" {
        return Failure::OutOfMemory { needed: 0, free: 0, text: why.text };
    }
    Failure::Unsupported { node: node.and_then(|node| u32::try_from(node).ok()), text: why.text }
}

impl GgmlProgram {
    pub(crate) fn new(
        library: &'static Library,
        device: &Arc<GgmlDevice>,
        region: Graph,
    ) -> Result<Self, Failure> {
        let states = region.values().filter(|(_, value)| matches!(value.def, Def::State));
        let states = states.map(|(id, _)| id).collect();
        let shaping = shaping_inputs(&region);
        let caches = caches_of(library, &region, &shaping)?;
        let device = Arc::clone(device);
        let weights = Weights::new(&device);
        let instances = Mutex::new(Vec::new());
        Ok(Self { library, device, region, states, caches, shaping, instances, weights })
    }

    /// The value that a run gives for an input, or a constant.
    fn host<'v>(&'v self, tensors: &'v [Tensor], id: ValueId) -> Result<&'v Tensor, Failure> {
        let at = self.region.inputs.iter().position(|&input| input == id);
        let found = at.and_then(|at| tensors.get(at)).or_else(|| self.region.value(id).constant());
        found.ok_or_else(|| Failure::Unsupported {
            node: None,
            text: format!(
                "`{}` is computed by ggml, expected an input",
                self.region.value(id).name
            ),
        })
    }

    fn cache<'s>(&self, states: &'s [StateRef], id: ValueId) -> Result<&'s CellCache, Failure> {
        let at = self.states.iter().position(|&state| state == id);
        let state = at.and_then(|at| states.get(at));
        let cache = state.and_then(|state| state.as_any().downcast_ref::<CellCache>());
        cache.ok_or_else(|| Failure::Invalid("a state was made by another provider".to_owned()))
    }

    fn begin<'s>(
        &self,
        tensors: &[Tensor],
        states: &'s [StateRef],
    ) -> Result<Vec<(&'s CellCache, Step<'s>)>, Failure> {
        let begin = |used: &CacheUse| {
            let ints = |id| self.host(tensors, id)?.to_i64_vec().map_err(invalid);
            let cache = self.cache(states, used.state)?;
            let step = cache.begin(&ints(used.sequences)?, &ints(used.positions)?)?;
            Ok((cache, step))
        };
        self.caches.iter().map(begin).collect()
    }

    fn key(&self, tensors: &[Tensor], steps: &[(&CellCache, Step<'_>)]) -> Result<Key, Failure> {
        let content = |&at: &usize| tensors[at].to_i64_vec().map_err(invalid);
        let cells = |(cache, step): &(&CellCache, Step<'_>)| {
            let table = usize::try_from(cache.tables.keys.t.ne()[1]).unwrap_or(0);
            (cache.id, reach(step).next_multiple_of(CELL_STEP).min(table))
        };
        Ok(Key {
            dims: tensors.iter().map(|tensor| tensor.dims().to_vec()).collect(),
            content: self.shaping.iter().map(content).collect::<Result<_, _>>()?,
            cells: steps.iter().map(cells).collect(),
        })
    }

    /// Takes the graph for these sizes, or makes it.
    fn instance(
        &self,
        key: Key,
        tensors: &[Tensor],
        steps: &[(&CellCache, Step<'_>)],
    ) -> Result<Instance, Failure> {
        let mut kept = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(Instance::is_alive);
        if let Some(at) = kept.iter().position(|instance| instance.key == key) {
            return Ok(kept.remove(at));
        }
        drop(kept);
        Instance::new(self, key, tensors, steps)
    }

    fn keep(&self, instance: Instance) {
        let mut kept = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(instance);
        while kept.len() > MOST_INSTANCES || excessive(&kept) {
            kept.remove(0);
        }
    }

    /// Writes everything that a run gives.
    fn upload(
        &self,
        instance: &mut Instance,
        tensors: &[Tensor],
        steps: &[(&CellCache, Step<'_>)],
    ) -> Result<(), Failure> {
        let step = |slot: usize| {
            steps.get(slot).ok_or_else(|| Failure::Internal(format!("there is no cache {slot}")))
        };
        for (t, upload) in instance.uploads.clone() {
            if !instance.plan.has(t) {
                continue;
            }
            match upload {
                Upload::Floats(id) => {
                    let tensor = self.host(tensors, id)?.contiguous();
                    instance.plan.write(t, tensor.bytes().unwrap_or_default())?;
                }
                Upload::Numbers(id) => {
                    let numbers = self.host(tensors, id)?.to_f32_vec().map_err(invalid)?;
                    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                    instance.plan.write(t, &bytes)?;
                }
                Upload::Indices(id, rows) => {
                    let bytes = index_bytes(self.host(tensors, id)?, rows)?;
                    instance.plan.write(t, &bytes)?;
                }
                Upload::Places(slot) => instance.plan.write(t, &places(&step(slot)?.1))?,
                Upload::Mask(slot) => {
                    let cells = usize::try_from(t.ne()[0]).unwrap_or(0);
                    instance.plan.write(t, &mask(&step(slot)?.1, cells))?;
                }
            }
        }
        Ok(())
    }

    fn outputs(&self, instance: &Instance, tensors: &[Tensor]) -> Result<Vec<Val>, Failure> {
        let output = |output: &Output| match output {
            Output::Given(id) => Ok(Val::from(self.host(tensors, *id)?.clone())),
            Output::Made(t, dims) => {
                let mut tensor = Tensor::zeros(DType::F32, dims.clone()).map_err(invalid)?;
                let bytes = tensor.bytes_mut().unwrap_or_default();
                instance.plan.read(*t, bytes)?;
                Ok(Val::from(tensor))
            }
        };
        instance.outputs.iter().map(output).collect()
    }

    fn compute(&self, instance: &mut Instance, request: &RunRequest<'_>) -> Result<(), Failure> {
        let plan = &mut instance.plan;
        let ended = self.device.with_engine(|engine| plan.compute(engine, request.cancel));
        match ended {
            Some(Computed::Done) => Ok(()),
            Some(Computed::Cancelled) => Err(Failure::Cancelled),
            Some(Computed::Failed(status)) => {
                Err(Failure::DeviceLost(format!("ggml ended with status {status}")))
            }
            None => Err(Failure::DeviceLost("the device does not start".to_owned())),
        }
    }
}

fn invalid(error: remuda_sdk::tensor::TensorError) -> Failure {
    Failure::Invalid(error.to_string())
}

/// Indices into so many rows as ggml reads them.
fn index_bytes(tensor: &Tensor, rows: Rows) -> Result<Vec<u8>, Failure> {
    let size = i64::try_from(rows.count).unwrap_or(i64::MAX);
    let mut bytes = Vec::with_capacity(tensor.len() * 4);
    for index in tensor.to_i64_vec().map_err(invalid)? {
        let place = if index < 0 && rows.wraps { index.saturating_add(size) } else { index };
        let place = i32::try_from(place).ok().filter(|_| (0..size).contains(&place));
        let place = place.ok_or_else(|| {
            Failure::Invalid(format!("index {index} is out of bounds for {size} elements"))
        })?;
        bytes.extend(place.to_le_bytes());
    }
    Ok(bytes)
}

/// The bytes of all graphs' values together, and of the largest graph's.
fn workspaces(kept: &[Instance]) -> (usize, usize) {
    let bytes = kept.iter().map(|instance| instance.plan.workspace_bytes());
    (bytes.clone().sum(), bytes.max().unwrap_or(0))
}

/// Whether graphs that were made long ago hold too much: together no more than the largest.
fn excessive(kept: &[Instance]) -> bool {
    let (all, largest) = workspaces(kept);
    kept.len() > 2 && all > 2 * largest
}

/// The nodes with caches, found by lowering the region with sizes made up. Regions whose sizes depend
/// on their inputs' content are not tried: only a run knows them.
fn caches_of(
    library: &'static Library,
    region: &Graph,
    shaping: &[usize],
) -> Result<Vec<CacheUse>, Failure> {
    let lowering = Lowering::new(library, region, capacity(region), Sources::Question);
    let mut lowering = lowering.map_err(|why| failure(None, why))?;
    for (at, (_, node)) in region.nodes().enumerate() {
        match lowering.node(node) {
            Err(why) if shaping.is_empty() => return Err(failure(Some(at), why)),
            _ => {}
        }
    }
    Ok(lowering.caches)
}

impl Compiled for GgmlProgram {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let start = Instant::now();
        let tensors =
            inputs.iter().map(|val| val.tensor().cloned()).collect::<Result<Vec<_>, _>>()?;
        let steps = self.begin(&tensors, request.states)?;
        let key = self.key(&tensors, &steps)?;
        let mut instance = self.instance(key, &tensors, &steps)?;
        let made = self
            .upload(&mut instance, &tensors, &steps)
            .and_then(|()| self.compute(&mut instance, request))
            .and_then(|()| self.outputs(&instance, &tensors));
        if !matches!(made, Err(Failure::DeviceLost(_))) {
            self.keep(instance);
        }
        let made = made?;
        steps.into_iter().for_each(|(_, step)| step.keep());
        if let Some(profile) = request.profile {
            profile(&StepTime {
                name: self.region.name.clone(),
                op: "region".to_owned(),
                kernel: format!("ggml {}", self.library.version),
                dims: made
                    .first()
                    .and_then(|val| val.tensor().ok())
                    .map_or_else(Vec::new, |t| t.dims().to_vec()),
                start: std::time::Duration::ZERO,
                time: start.elapsed(),
            });
        }
        Ok(made)
    }

    fn info(&self) -> ProgramInfo {
        let kept = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, largest) = workspaces(&kept);
        ProgramInfo {
            resident_bytes: self.weights.bytes() + (all - largest) as u64,
            workspace_bytes: largest as u64,
        }
    }
}
