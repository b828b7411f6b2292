//! wgpu behind the provider contract.

use std::sync::Arc;

use remuda_sdk::ir::{Graph, Node, OpName, StateRef};
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, Level, MemoryInfo,
    StateRequest, Support,
};

use crate::cache::GpuCache;
use crate::gpu::{Found, Gpu, find};
use crate::lower::{Lowering, OPERATORS};
use crate::program::{Weights, WgpuProgram};

/// wgpu.
pub(crate) struct WgpuBackend {
    /// The adapters, or why there is none.
    found: Result<Vec<Adapter>, String>,
}

/// An adapter, and the constants on its device.
struct Adapter {
    found: Found,
    weights: Arc<Weights>,
}

impl std::fmt::Debug for WgpuBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.found {
            Ok(adapters) => {
                let names = adapters.iter().map(|adapter| &adapter.found.info.name);
                f.debug_list().entries(names).finish()
            }
            Err(reason) => write!(f, "WgpuBackend({reason})"),
        }
    }
}

/// The least that [`binding_bytes`] may be: smaller, hardly a value fits.
const LEAST_BINDING_BYTES: u64 = 256 << 10;

/// The most bytes of a buffer that a kernel is to see, if the user says so.
fn binding_bytes(options: &[(String, String)]) -> Result<Option<u64>, Failure> {
    let mut most = None;
    for (key, value) in options {
        if key != "binding_bytes" {
            let text = format!("unknown option `{key}`, expected `binding_bytes`");
            return Err(Failure::Invalid(text));
        }
        let bytes = value.parse().ok().filter(|&bytes| bytes >= LEAST_BINDING_BYTES);
        let wrong = || {
            let expected = format!("a number of bytes, {LEAST_BINDING_BYTES} at least");
            Failure::Invalid(format!("option `{key}` is `{value}`, expected {expected}"))
        };
        most = Some(bytes.ok_or_else(wrong)?);
    }
    Ok(most)
}

impl WgpuBackend {
    fn adapter(&self, index: u32) -> Result<&Adapter, Failure> {
        let unavailable =
            |reason: &String| Failure::Unsupported { node: None, text: reason.clone() };
        let adapters = self.found.as_ref().map_err(unavailable)?;
        let adapter = adapters.get(index as usize);
        adapter.ok_or_else(|| Failure::Invalid(format!("there is no device {index}")))
    }

    fn gpu(&self, index: u32) -> Result<Arc<Gpu>, Failure> {
        self.adapter(index)?.found.open()
    }
}

/// Whether a device takes a node: it is lowered with sizes made up.
fn ask(gpu: &Gpu, graph: &Graph, node: &Node) -> Support {
    let mut lowering = Lowering::question(graph, gpu.limits);
    match lowering.node(node).and_then(|()| lowering.finish(node)) {
        Ok(()) => Support::Yes(Cost::default()),
        Err(why) => Support::No { code: why.code, text: why.text },
    }
}

impl Backend for WgpuBackend {
    const NAME: &'static str = "wgpu";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        let most = binding_bytes(options)?;
        let with_weights = |found: Found| {
            host.log(Level::Info, &format!("{} by {}", found.info.name, found.kind()));
            Adapter { found, weights: Arc::default() }
        };
        let found = find(most).map(|found| found.into_iter().map(with_weights).collect());
        Ok(Self { found })
    }

    fn devices(&self) -> Vec<Device> {
        let adapters = match &self.found {
            Ok(adapters) => adapters,
            Err(reason) => {
                return vec![Device {
                    kind: kind_here().to_owned(),
                    name: "wgpu".to_owned(),
                    unusable: Some(reason.clone()),
                    host_memory: true,
                    ..Device::default()
                }];
            }
        };
        let describe = |adapter: &Adapter| {
            let info = &adapter.found.info;
            Device {
                kind: adapter.found.kind().to_owned(),
                name: info.name.clone(),
                unique_id: adapter.found.unique_id(),
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
                unusable: adapter.found.unusable(),
                total_bytes: adapter.found.memory().total_bytes,
                // Values come and go by host memory, whatever the device computes in.
                host_memory: true,
                no_results: false,
            }
        };
        adapters.iter().map(describe).collect()
    }

    fn supported_ops(&self) -> Vec<OpName> {
        OPERATORS.iter().map(|known| OpName::new(known.domain, known.name)).collect()
    }

    fn supports_operation(&self, device: u32, graph: &Graph, node: &Node) -> Support {
        match self.gpu(device) {
            Ok(gpu) => ask(&gpu, graph, node),
            Err(failure) => Support::No { code: "unavailable", text: failure.to_string() },
        }
    }

    fn compile_subgraph(
        &self,
        device: u32,
        region: Graph,
        request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let adapter = self.adapter(device)?;
        let gpu = adapter.found.open()?;
        let name = adapter.found.info.name.clone();
        Ok(Box::new(WgpuProgram::new(gpu, &adapter.weights, name, region, request)?))
    }

    fn state_bytes(&self, device: u32, request: &StateRequest) -> Result<u64, Failure> {
        GpuCache::bytes_of(&self.gpu(device)?.limits, request)
    }

    fn create_state(&self, device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        Ok(StateRef(Arc::new(GpuCache::new(&self.gpu(device)?, request)?)))
    }

    fn memory_info(&self, device: u32) -> Result<MemoryInfo, Failure> {
        Ok(self.adapter(device)?.found.memory())
    }

    fn synchronize(&self, device: u32) -> Result<(), Failure> {
        self.gpu(device)?.wait()
    }
}

/// The kind of the devices that this build looks for first.
fn kind_here() -> &'static str {
    if cfg!(target_vendor = "apple") {
        "metal"
    } else if cfg!(windows) {
        "dx12"
    } else {
        "vulkan"
    }
}
