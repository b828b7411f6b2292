//! ONNX Runtime behind the provider contract.

use std::sync::Arc;

use remuda_sdk::ir::{Graph, Node, OpName};
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Device, Failure, HostServices, Level, MemoryInfo, Support,
};

use crate::ask::Answers;
use crate::device::{OrtDevice, devices, kinds};
use crate::find::{Library, library};
use crate::program::OrtProgram;
use crate::watch::Watcher;

/// ONNX Runtime.
pub(crate) struct OrtBackend {
    /// The library and its execution providers, or why there is none.
    loaded: Result<Loaded, String>,
}

struct Loaded {
    library: &'static Library,
    devices: Vec<OrtDevice>,
    answers: Answers,
    watcher: Arc<Watcher>,
}

impl std::fmt::Debug for OrtBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.loaded {
            Ok(loaded) => write!(f, "OrtBackend({:?})", loaded.library.api),
            Err(reason) => write!(f, "OrtBackend({reason})"),
        }
    }
}

/// What the user chooses.
#[derive(Debug, Default)]
struct Choices {
    library: Option<String>,
    dequantize: bool,
    /// Options of execution providers: `cuda.device_id`.
    others: Vec<(String, String)>,
}

fn choices(options: &[(String, String)]) -> Result<Choices, Failure> {
    let mut choices = Choices::default();
    for (key, value) in options {
        match (key.as_str(), value.as_str()) {
            ("library", path) => choices.library = Some(path.to_owned()),
            ("dequantize", "true") => choices.dequantize = true,
            ("dequantize", "false") => choices.dequantize = false,
            ("dequantize", other) => {
                let text = format!("option `dequantize` is `{other}`, expected `true` or `false`");
                return Err(Failure::Invalid(text));
            }
            (key, _) if key.split_once('.').is_some_and(|(kind, _)| kinds().any(|k| k == kind)) => {
                choices.others.push((key.to_owned(), value.clone()));
            }
            (other, _) => {
                let text = format!(
                    "unknown option `{other}`, expected `library`, `dequantize`, or a kind of \
                     device, a stop and an option of its execution provider, as `cuda.device_id`"
                );
                return Err(Failure::Invalid(text));
            }
        }
    }
    Ok(choices)
}

impl OrtBackend {
    fn device(&self, index: u32) -> Result<(&Loaded, &OrtDevice), Failure> {
        let loaded = self.loaded.as_ref().map_err(|reason| unavailable(reason))?;
        let device = loaded.devices.get(index as usize);
        let device =
            device.ok_or_else(|| Failure::Invalid(format!("there is no device {index}")))?;
        match &device.unusable {
            Some(reason) => Err(unavailable(reason)),
            None => Ok((loaded, device)),
        }
    }
}

fn unavailable(reason: &str) -> Failure {
    Failure::Unsupported { node: None, text: reason.to_owned() }
}

impl Backend for OrtBackend {
    const NAME: &'static str = "onnxruntime";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        let choices = choices(options)?;
        let threads = host.threads();
        let library = match library(choices.library.as_deref()) {
            Ok(library) => library,
            Err(tries) => return Ok(Self { loaded: Err(tries.to_string()) }),
        };
        let (version, path) = (&library.api.version, library.api.path.display());
        host.log(Level::Info, &format!("ONNX Runtime {version} of `{path}`"));
        let devices = devices(library, threads, choices.dequantize, &choices.others)?;
        let watcher = Watcher::new().map_err(|error| Failure::Internal(error.to_string()))?;
        let (answers, watcher) = (Answers::default(), Arc::new(watcher));
        Ok(Self { loaded: Ok(Loaded { library, devices, answers, watcher }) })
    }

    fn devices(&self) -> Vec<Device> {
        let loaded = match &self.loaded {
            Ok(loaded) => loaded,
            Err(reason) => {
                return vec![Device {
                    kind: "cpu".to_owned(),
                    name: "ONNX Runtime".to_owned(),
                    unusable: Some(reason.clone()),
                    host_memory: true,
                    ..Device::default()
                }];
            }
        };
        let total_bytes = remuda_base::memory::total_and_available().0;
        let describe = |device: &OrtDevice| Device {
            kind: device.kind.to_owned(),
            name: format!("{} of ONNX Runtime {}", device.name, loaded.library.api.version),
            unique_id: device.name.clone(),
            driver: format!("onnxruntime {}", loaded.library.api.version),
            unusable: device.unusable.clone(),
            total_bytes: if device.kind == "cpu" { total_bytes } else { 0 },
            host_memory: true,
            ..Device::default()
        };
        loaded.devices.iter().map(describe).collect()
    }

    fn supported_ops(&self) -> Vec<OpName> {
        // Which of these the library has kernels for is asked node by node.
        remuda_ops::TABLE.iter().map(|def| OpName::new(def.domain, def.name)).collect()
    }

    fn supports_operation(&self, device: u32, graph: &Graph, node: &Node) -> Support {
        match self.device(device) {
            Ok((loaded, ort)) => loaded.answers.ask(loaded.library, (device, ort), graph, node),
            Err(failure) => Support::No { code: "unavailable", text: failure.to_string() },
        }
    }

    fn compile_subgraph(
        &self,
        device: u32,
        region: Graph,
        _request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let (loaded, device) = self.device(device)?;
        Ok(Box::new(OrtProgram::new(loaded.library, device, &region, &loaded.watcher)?))
    }

    fn memory_info(&self, device: u32) -> Result<MemoryInfo, Failure> {
        let (_, device) = self.device(device)?;
        if device.kind != "cpu" {
            // The library does not tell of other memory.
            return Ok(MemoryInfo::default());
        }
        let (total_bytes, free_bytes) = remuda_base::memory::total_and_available();
        Ok(MemoryInfo { total_bytes, free_bytes })
    }
}
