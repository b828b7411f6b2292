//! A program for inputs of certain sizes: launches with their buffers, ready to be submitted.

use std::sync::{Arc, Weak};

use remuda_ops::Ops;
use remuda_sdk::ir::{Def, Graph, ValueId, ValueType, infer_graph};
use remuda_sdk::tensor::DType;
use remuda_sdk::{Failure, with_sizes};

use super::held::{Held, Seen, given_bytes, lost_space};
use super::memory::Layout;
use super::words::bytes_of;
use super::{Given, WgpuProgram, failure};
use crate::cache::Tables;
use crate::gpu::{Gpu, Memory, Pipeline};
use crate::lower::{Lowering, Origin, Part, Plan, Space, SpaceId};

/// What an instance is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) dims: Vec<Vec<usize>>,
    /// What inputs hold that decide sizes.
    pub(super) content: Vec<Vec<i64>>,
    /// The caches, and how many cells their lists may have.
    pub(super) cells: Vec<(u64, usize)>,
}

/// Where an output comes from.
pub(super) enum Output {
    /// It is an input or a constant.
    Given(ValueId),
    Made {
        space: SpaceId,
        dtype: DType,
        dims: Vec<usize>,
    },
}

impl Output {
    /// The space that it is read from, and how many bytes of it.
    fn made(&self) -> Option<(SpaceId, u64)> {
        match self {
            Self::Given(_) => None,
            Self::Made { space, dims, .. } => {
                Some((*space, dims.iter().product::<usize>() as u64 * 4))
            }
        }
    }
}

/// A launch, ready.
struct Ready {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    groups: [u32; 3],
}

/// Launches with their buffers.
pub(super) struct Instance {
    pub(super) key: Key,
    gpu: Arc<Gpu>,
    spaces: Vec<Space>,
    held: Vec<Held>,
    slots: Vec<Memory>,
    /// What runs give in few bytes, all of it.
    written: Memory,
    _params: Memory,
    ready: Vec<Ready>,
    pub(super) outputs: Vec<Output>,
    /// The host reads the outputs that were made here, one after the other.
    staging: Memory,
    caches: Vec<Weak<Tables>>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        let own = self.held.drain(..).filter_map(|held| match held {
            Held::Own(memory) => Some(memory),
            _ => None,
        });
        for memory in own.chain(self.slots.drain(..)) {
            self.gpu.give_back(memory);
        }
    }
}

/// Lowers every node; the launches, and the outputs.
fn lowered(graph: &Graph, gpu: &Gpu) -> Result<(Plan, Vec<Output>), Failure> {
    let mut lowering = Lowering::new(graph, gpu.limits);
    for (at, (_, node)) in graph.nodes().enumerate() {
        lowering.node(node).map_err(|why| failure(Some(at), why))?;
    }
    let mut outputs = Vec::with_capacity(graph.outputs.len());
    for &id in &graph.outputs {
        let (Def::Node(..), Some(ValueType::Tensor(ty))) =
            (&graph.value(id).def, &graph.value(id).ty)
        else {
            outputs.push(Output::Given(id));
            continue;
        };
        let part = lowering.part_of(id).and_then(|part| lowering.dense(part));
        let Part { space, dims, .. } = part.map_err(|why| failure(None, why))?;
        outputs.push(Output::Made { space, dtype: ty.dtype, dims });
    }
    Ok((lowering.plan, outputs))
}

impl Instance {
    /// Whether the caches that it was made for are still there.
    pub(super) fn is_alive(&self) -> bool {
        self.caches.iter().all(|tables| tables.strong_count() > 0)
    }

    /// Bytes of the buffers that are its own.
    pub(super) fn bytes(&self) -> u64 {
        let own = self.held.iter().map(|held| match held {
            Held::Own(memory) => memory.bytes(),
            _ => 0,
        });
        own.chain(self.slots.iter().map(Memory::bytes)).sum::<u64>() + self.written.bytes()
    }

    pub(super) fn new(program: &WgpuProgram, key: Key, given: &Given<'_>) -> Result<Self, Failure> {
        let gpu = Arc::clone(&program.gpu);
        let mut graph = with_sizes(&program.region, &program.shaping, given.tensors);
        infer_graph(&mut graph, &Ops)?;
        let (plan, outputs) = lowered(&graph, &gpu)?;
        let (kept, read): (Vec<SpaceId>, Vec<u64>) =
            outputs.iter().filter_map(Output::made).unzip();
        let layout = Layout::of(&plan, &kept);
        let slots = layout.bytes.iter().map(|&bytes| gpu.borrow(bytes));
        let slots = slots.collect::<Result<Vec<_>, _>>()?;
        let mut held = Vec::with_capacity(plan.spaces.len());
        let mut end = 0;
        for (at, space) in plan.spaces.iter().enumerate() {
            let slot = layout.of.get(&SpaceId(at)).copied();
            held.push(match given_bytes(&key, space)? {
                Some(bytes) => Held::written(&gpu, bytes, &mut end)?,
                None => Held::kept(program, &graph, given, (space, slot))?,
            });
        }
        let written = gpu.allocate(end)?;
        let staging = gpu.staging(read.iter().sum())?;
        let (params, ready) = prepared(&gpu, &plan, &held, (&slots, &written))?;
        let caches = given.steps.iter().map(|(cache, _)| Arc::downgrade(&cache.tables)).collect();
        let spaces = plan.spaces;
        Ok(Self {
            key,
            gpu,
            spaces,
            held,
            slots,
            written,
            _params: params,
            ready,
            outputs,
            staging,
            caches,
        })
    }

    fn seen(&self, space: SpaceId) -> Result<Seen<'_>, Failure> {
        let held = self.held.get(space.0);
        held.and_then(|held| held.seen(&self.slots, &self.written)).ok_or_else(lost_space)
    }

    /// Writes everything that a run gives, what is small of it at once.
    pub(super) fn upload(&self, program: &WgpuProgram, given: &Given<'_>) -> Result<(), Failure> {
        let mut small: Vec<u8> = Vec::new();
        for (space, held) in self.spaces.iter().zip(&self.held) {
            let tensor;
            let bytes = match space.origin {
                Origin::Input(id, form) => {
                    tensor = program.host(given.tensors, id)?.contiguous();
                    bytes_of(&tensor, form)?
                }
                Origin::Places(slot) => given.places(slot)?.into(),
                Origin::Cells(slot) => given.cells(slot)?.into(),
                Origin::Spans(slot) => given.spans(slot)?.into(),
                _ => continue,
            };
            match held {
                Held::Own(memory) => self.gpu.upload(memory, 0, &bytes)?,
                Held::Written { offset, bytes: most } if bytes.len() as u64 <= *most => {
                    let start = usize::try_from(*offset).map_err(|_| lost_space())?;
                    small.resize(small.len().max(start + bytes.len()), 0);
                    small[start..start + bytes.len()].copy_from_slice(&bytes);
                }
                _ => return Err(lost_space()),
            }
        }
        self.gpu.upload(&self.written, 0, &small)
    }

    /// Submits all launches at once, and shows what the outputs that were made are.
    pub(super) fn run(
        &self,
        mut look: impl FnMut(&Output, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut places = Vec::with_capacity(self.outputs.len());
        let mut end = 0;
        for output in &self.outputs {
            let Some((space, bytes)) = output.made() else { continue };
            places.push((output, self.seen(space)?, end, bytes));
            end += bytes;
        }
        self.gpu.guarded(|| {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for Ready { pipeline, group, groups: [x, y, z] } in &self.ready {
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(*x, *y, *z);
            }
            drop(pass);
            for (_, seen, at, bytes) in &places {
                let (from, to) = (&seen.memory.buffer, &self.staging.buffer);
                encoder.copy_buffer_to_buffer(from, seen.offset, to, *at, *bytes);
            }
            self.gpu.queue.submit([encoder.finish()]);
        })?;
        if places.is_empty() {
            return self.gpu.wait();
        }
        self.gpu.read(&self.staging, |staged| {
            places.iter().try_for_each(|&(output, _, at, bytes)| {
                let range = usize::try_from(at).ok().zip(usize::try_from(at + bytes).ok());
                let seen = range.and_then(|(start, end)| staged.get(start..end));
                look(output, seen.ok_or_else(lost_space)?)
            })
        })?
    }
}

/// Compiles and binds every launch; the parameters of all of them are in one buffer.
fn prepared(
    gpu: &Gpu,
    plan: &Plan,
    held: &[Held],
    (slots, written): (&[Memory], &Memory),
) -> Result<(Memory, Vec<Ready>), Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut places = Vec::with_capacity(plan.steps.len());
    let alignment = usize::try_from(gpu.limits.alignment).unwrap_or(256);
    for step in &plan.steps {
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        let start = bytes.len();
        bytes.extend(step.dispatch.launch.params.iter().flat_map(|word| word.to_le_bytes()));
        places.push((start as u64, ((bytes.len() - start) as u64).max(4)));
    }
    // The last block may have no parameters at all.
    bytes.resize(bytes.len() + 4, 0);
    let params = gpu.allocate(bytes.len() as u64)?;
    gpu.upload(&params, 0, &bytes)?;
    let mut ready = Vec::with_capacity(plan.steps.len());
    for (step, (start, size)) in plan.steps.iter().zip(places) {
        let pipeline = gpu.pipeline(&step.dispatch.kernel)?;
        let mut bindings = Vec::with_capacity(step.bound.len() + 1);
        for bound in &step.bound {
            let held = held.get(bound.space.0).ok_or_else(lost_space)?;
            let seen = held.seen(slots, written).ok_or_else(lost_space)?;
            let own = plan.spaces[bound.space.0].bytes;
            let all = if own == 0 { seen.bytes } else { own };
            let bytes = bound.bytes.unwrap_or(all);
            bindings.push((seen.memory, seen.offset + bound.offset, bytes));
        }
        bindings.push((&params, start, size));
        let group = gpu.guarded(|| pipeline.bind(&gpu.device, &bindings))?;
        ready.push(Ready { pipeline, group, groups: step.dispatch.launch.groups });
    }
    Ok((params, ready))
}
