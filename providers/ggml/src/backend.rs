//! ggml behind the provider contract.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use remuda_sdk::ir::{Graph, Node, OpName, StateRef};
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, Level, MemoryInfo,
    StateRequest, Support,
};

use crate::api::{Library, Plan, log_to};
use crate::cache::CellCache;
use crate::device::{GgmlDevice, devices};
use crate::find::library;
use crate::lower::{Lowering, OPERATORS, Sources, share};
use crate::program::GgmlProgram;

/// ggml.
pub(crate) struct GgmlBackend {
    /// Its number among all that were opened, under which it hears ggml's warnings.
    number: u64,
    /// The library and its devices, or why there is none.
    loaded: Result<Loaded, String>,
}

struct Loaded {
    library: &'static Library,
    devices: Vec<Arc<GgmlDevice>>,
}

impl std::fmt::Debug for GgmlBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.loaded {
            Ok(loaded) => write!(f, "GgmlBackend({:?})", loaded.library),
            Err(reason) => write!(f, "GgmlBackend({reason})"),
        }
    }
}

/// The hosts of the instances that are open: the first of them is told of ggml's warnings.
static HOSTS: Mutex<Vec<(u64, HostServices)>> = Mutex::new(Vec::new());

fn tell_host(error: bool, text: &str) {
    // Held while the host is told, so that it is there until the end.
    let hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, host)) = hosts.first() {
        host.log(if error { Level::Error } else { Level::Warn }, text);
    }
}

impl Drop for GgmlBackend {
    fn drop(&mut self) {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|(number, _)| *number != self.number);
    }
}

fn folder(options: &[(String, String)]) -> Result<Option<&str>, Failure> {
    let mut folder = None;
    for (key, value) in options {
        match key.as_str() {
            "folder" => folder = Some(value.as_str()),
            other => {
                let text = format!("unknown option `{other}`, expected `folder`");
                return Err(Failure::Invalid(text));
            }
        }
    }
    Ok(folder)
}

fn unavailable(reason: &str) -> Failure {
    Failure::Unsupported { node: None, text: reason.to_owned() }
}

impl GgmlBackend {
    fn device(&self, index: u32) -> Result<(&'static Library, &Arc<GgmlDevice>), Failure> {
        let loaded = self.loaded.as_ref().map_err(|reason| unavailable(reason))?;
        let device = loaded.devices.get(index as usize);
        let device =
            device.ok_or_else(|| Failure::Invalid(format!("there is no device {index}")))?;
        Ok((loaded.library, device))
    }
}

/// Whether a device takes a node: it is lowered with sizes made up, and the device asked about each
/// operator that comes out.
fn ask(library: &'static Library, device: &GgmlDevice, graph: &Graph, node: &Node) -> Support {
    let answer =
        Lowering::new(library, graph, share(node), Sources::Question).and_then(|mut lowering| {
            lowering.node(node)?;
            lowering.expect_supported(device, node)
        });
    match answer {
        Ok(()) => Support::Yes(Cost::default()),
        Err(why) => Support::No { code: why.code, text: why.text },
    }
}

impl Lowering<'_> {
    fn expect_supported(
        mut self,
        device: &GgmlDevice,
        node: &Node,
    ) -> Result<(), crate::api::Refusal> {
        let outputs: Vec<_> = node.outputs.iter().flatten().copied().collect();
        let mut ends = std::mem::take(&mut self.effects);
        for output in outputs {
            ends.push(self.value(output)?);
        }
        let plan = Plan::new(self.context, share(node), &ends);
        match plan.unsupported(device.raw) {
            None => Ok(()),
            Some(_) => {
                let text = format!("the {} device does not take `{}` so", device.kind, node.op);
                Err(crate::api::refuse("op-unsupported", text))
            }
        }
    }
}

impl Backend for GgmlBackend {
    const NAME: &'static str = "ggml";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = folder(options)?;
        HOSTS.lock().unwrap_or_else(PoisonError::into_inner).push((number, host));
        log_to(tell_host);
        let library = match library(folder) {
            Ok(library) => library,
            Err(tries) => return Ok(Self { number, loaded: Err(tries.to_string()) }),
        };
        host.log(Level::Info, &format!("{library:?}"));
        let devices: Vec<_> = devices(library, host.threads()).into_iter().map(Arc::new).collect();
        if devices.is_empty() {
            let folder = library.folder.display();
            let reason = format!("no backend of ggml lies in `{folder}`");
            return Ok(Self { number, loaded: Err(reason) });
        }
        Ok(Self { number, loaded: Ok(Loaded { library, devices }) })
    }

    fn devices(&self) -> Vec<Device> {
        let loaded = match &self.loaded {
            Ok(loaded) => loaded,
            Err(reason) => {
                return vec![Device {
                    kind: "cpu".to_owned(),
                    name: "ggml".to_owned(),
                    unusable: Some(reason.clone()),
                    host_memory: true,
                    ..Device::default()
                }];
            }
        };
        let describe = |device: &Arc<GgmlDevice>| Device {
            kind: device.kind.clone(),
            name: device.raw.description(),
            unique_id: device.raw.name(),
            driver: format!("ggml {}", loaded.library.version),
            unusable: None,
            total_bytes: device.raw.memory().1,
            // Values come and go by host memory, whatever the device computes in.
            host_memory: true,
            no_results: false,
        };
        loaded.devices.iter().map(describe).collect()
    }

    fn supported_ops(&self) -> Vec<OpName> {
        OPERATORS.iter().map(|known| OpName::new(known.domain, known.name)).collect()
    }

    fn supports_operation(&self, device: u32, graph: &Graph, node: &Node) -> Support {
        match self.device(device) {
            Ok((library, device)) => ask(library, device, graph, node),
            Err(failure) => Support::No { code: "unavailable", text: failure.to_string() },
        }
    }

    fn compile_subgraph(
        &self,
        device: u32,
        region: Graph,
        _request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let (library, device) = self.device(device)?;
        Ok(Box::new(GgmlProgram::new(library, device, region)?))
    }

    fn state_bytes(&self, device: u32, request: &StateRequest) -> Result<u64, Failure> {
        let (library, _) = self.device(device)?;
        CellCache::bytes_of(library, request)
    }

    fn create_state(&self, device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        let (library, device) = self.device(device)?;
        Ok(StateRef(Arc::new(CellCache::new(library, device, request)?)))
    }

    fn memory_info(&self, device: u32) -> Result<MemoryInfo, Failure> {
        let (_, device) = self.device(device)?;
        if device.kind == "cpu" {
            // ggml counts all memory of the machine, not what this process may use.
            let (total_bytes, free_bytes) = remuda_base::memory::total_and_available();
            return Ok(MemoryInfo { total_bytes, free_bytes });
        }
        let (free_bytes, total_bytes) = device.raw.memory();
        Ok(MemoryInfo { total_bytes, free_bytes })
    }
}
