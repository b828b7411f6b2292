//! The fake behind the provider contract.

use std::sync::Arc;

use remuda_cpu::{Program, Settings, cache_bytes};
use remuda_kernels::ThreadPool;
use remuda_sdk::ir::{Graph, Node, OpName, StateRef, ValueId, ValueType};
use remuda_sdk::tensor::{DType, Dim};
use remuda_sdk::{
    Allocator, Backend, CompileRequest, Compiled, Cost, CostSource, Device, Failure, HostServices,
    MemoryInfo, StateRequest, Support,
};
use remuda_simd::Isa;

use crate::config::{Config, DeviceConfig};
use crate::device::FakeDevice;
use crate::memory::FakeAllocator;
use crate::program::{FakeProgram, Limit};

/// Made-up devices over the CPU's kernels.
#[derive(Debug)]
pub struct FakeBackend {
    settings: Settings,
    devices: Vec<FakeAllocator>,
}

impl FakeBackend {
    fn device(&self, index: u32) -> Result<&Arc<FakeDevice>, Failure> {
        let device = self.devices.get(index as usize).map(|allocator| &allocator.0);
        device.ok_or_else(|| Failure::Invalid(format!("there is no device {index}")))
    }
}

impl Backend for FakeBackend {
    const NAME: &'static str = "fake";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEVICE_MEMORY: bool = true;

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        let config = Config::parse(options).map_err(|e| Failure::Invalid(e.to_string()))?;
        let setup = |error: &dyn std::fmt::Display| Failure::Invalid(error.to_string());
        let isa = Isa::detect().map_err(|error| setup(&error))?;
        let pool = Arc::new(ThreadPool::new(host.threads()).map_err(|error| setup(&error))?);
        let meeting = Arc::default();
        let devices = config.0.into_iter();
        let devices = devices.map(|config| FakeAllocator(FakeDevice::new(config, &meeting).into()));
        Ok(Self {
            settings: Settings { pool, isa, fast: true, packs: true, kept: None },
            devices: devices.collect(),
        })
    }

    fn devices(&self) -> Vec<Device> {
        let device = |(at, allocator): (usize, &FakeAllocator)| {
            let config = &allocator.0.config;
            Device {
                kind: config.kind.clone(),
                name: format!("fake {}", config.kind),
                unique_id: format!("fake-{at}"),
                total_bytes: config.memory,
                host_memory: !config.own_memory,
                ..Device::default()
            }
        };
        self.devices.iter().enumerate().map(device).collect()
    }

    fn supported_ops(&self) -> Vec<OpName> {
        Vec::new()
    }

    fn supports_operation(&self, device: u32, graph: &Graph, node: &Node) -> Support {
        let Ok(device) = self.device(device) else {
            return Support::No { code: "unavailable", text: "there is no such device".to_owned() };
        };
        match refusal(&device.config, graph, node) {
            Some((code, text)) if !device.config.lies => Support::No { code, text },
            _ => {
                let cost = match device.config.cost(&node.op.to_string()) {
                    Some(nanoseconds) => {
                        Cost { source: CostSource::Declared, nanoseconds, bytes: 0 }
                    }
                    None => Cost::default(),
                };
                let bounds = device.config.bounds.iter();
                let bounds = bounds.map(|(name, most)| format!("{name}<={most}"));
                let bounds = bounds.collect::<Vec<_>>().join(",");
                if bounds.is_empty() { Support::Yes(cost) } else { Support::If { bounds, cost } }
            }
        }
    }

    fn compile_subgraph(
        &self,
        device: u32,
        region: Graph,
        request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let device = self.device(device)?;
        device.check_alive()?;
        let engine = device.config.engines.then(|| engine_of(&region));
        let known = engine.is_some() && request.engine == engine.as_deref();
        if !known && device.next_compilation().is_some() {
            let text = "the region is refused, as configured".to_owned();
            return Err(Failure::Unsupported { node: None, text });
        }
        for (at, (_, node)) in (0..).zip(region.nodes()) {
            if let Some((_, text)) = refusal(&device.config, &region, node) {
                return Err(Failure::Unsupported { node: Some(at), text });
            }
        }
        let constants = region.values().filter_map(|(_, value)| value.constant());
        let resident = constants.map(|tensor| tensor.byte_len() as u64).sum();
        let limits = limits(&device.config, &region);
        let program = Program::new(&region, &self.settings)?;
        Ok(Box::new(FakeProgram::new(program, device, resident, limits)?.with_engine(engine)))
    }

    fn state_bytes(&self, device: u32, request: &StateRequest) -> Result<u64, Failure> {
        self.device(device)?;
        Ok(cache_bytes(&request.ty, request.sequences, request.capacity)?)
    }

    fn create_state(&self, device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        crate::state::create(self.device(device)?, request)
    }

    fn memory_info(&self, device: u32) -> Result<MemoryInfo, Failure> {
        let device = self.device(device)?;
        Ok(MemoryInfo { total_bytes: device.config.memory, free_bytes: device.free() })
    }

    fn allocator(&self, device: u32) -> Option<&dyn Allocator> {
        self.devices.get(device as usize).map(|allocator| allocator as &dyn Allocator)
    }

    fn synchronize(&self, device: u32) -> Result<(), Failure> {
        self.device(device)?.check_alive()
    }
}

/// What the fake calls the engine of a region: a hash of its text.
fn engine_of(region: &Graph) -> Vec<u8> {
    let text = remuda_sdk::ir::text::print_outline(region);
    format!("engine {:016x}", hash(0, &text)).into_bytes()
}

/// How long axes of a region's inputs may be.
fn limits(config: &DeviceConfig, region: &Graph) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (input, &id) in region.inputs.iter().enumerate() {
        let Some(ValueType::Tensor(ty)) = &region.value(id).ty else { continue };
        for (axis, dim) in ty.dims.iter().flatten().enumerate() {
            let bound = config.bounds.iter().find(|(name, _)| dim.same(&Dim::symbol(name)));
            limits.extend(bound.map(|&(_, most)| Limit { input, axis, most }));
        }
    }
    limits
}

/// Why a device does not take a node.
fn refusal(config: &DeviceConfig, graph: &Graph, node: &Node) -> Option<(&'static str, String)> {
    let op = node.op.to_string();
    if remuda_ops::find(&node.op.domain, &node.op.name).is_some() && config.takes(&op) {
        if config.cuts.is_some_and(|seed| hash(seed, name_of(graph, node)).is_multiple_of(2)) {
            return Some((
                "attribute",
                "its name fell on the other side of a random cut".to_owned(),
            ));
        }
        let outputs = node.outputs.iter().flatten().copied();
        return node.uses().chain(outputs).find_map(|value| unfit(config, graph, value));
    }
    Some(("op-unsupported", format!("the fake {} does not take `{op}`", config.kind)))
}

/// Why a value cannot be on a device.
fn unfit(config: &DeviceConfig, graph: &Graph, id: ValueId) -> Option<(&'static str, String)> {
    let value = graph.value(id);
    let dtype = match &value.ty {
        Some(ValueType::Tensor(ty)) => ty.dtype,
        Some(ValueType::State(_)) => return None,
        _ if !config.own_memory => return None,
        _ => return Some(("dtype", format!("`{}` is not known to be a tensor", value.name))),
    };
    let taken = config.dtypes.as_ref().is_none_or(|dtypes| dtypes.contains(dtype.name()));
    if !taken || (dtype == DType::String && config.own_memory) {
        return Some(("dtype", format!("`{}` is of type {dtype}", value.name)));
    }
    None
}

/// What a node is called: by itself, or by the first value it makes.
fn name_of<'g>(graph: &'g Graph, node: &'g Node) -> &'g str {
    match node.outputs.iter().flatten().next() {
        Some(&output) if node.name.is_empty() => &graph.value(output).name,
        _ => &node.name,
    }
}

/// FNV-1a of a seed and a name, its bits mixed.
fn hash(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash ^ hash >> 29
}
