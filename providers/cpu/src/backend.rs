//! The CPU behind the provider contract, like any stranger.

use std::sync::Arc;

use remuda_ir::{Graph, Node, OpName, StateRef, Val};
use remuda_kernels::ThreadPool;
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, MemoryInfo,
    ProgramInfo, Proposal, RunRequest, StateRequest, Support,
};
use remuda_simd::Isa;

use crate::{PagedCache, Profile, Program, RunOptions, Settings, cache_bytes, workspace_bytes};

/// The CPU.
#[derive(Debug)]
pub struct CpuBackend {
    settings: Settings,
}

/// The table of the CPU provider.
#[must_use]
pub fn table() -> &'static remuda_sdk::abi::Provider {
    remuda_sdk::table::<CpuBackend>()
}

fn setup(error: &dyn std::fmt::Display) -> Failure {
    Failure::Invalid(error.to_string())
}

impl Backend for CpuBackend {
    const NAME: &'static str = "cpu";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        let (mut fast, mut packs) = (true, true);
        for (key, value) in options {
            match (key.as_str(), value.as_str()) {
                ("kernels", "fast") => fast = true,
                ("kernels", "reference") => fast = false,
                ("kernels", other) => {
                    let text =
                        format!("option `kernels` is `{other}`, expected `fast` or `reference`");
                    return Err(Failure::Invalid(text));
                }
                ("packing", "on") => packs = true,
                ("packing", "off") => packs = false,
                ("packing", other) => {
                    let text = format!("option `packing` is `{other}`, expected `on` or `off`");
                    return Err(Failure::Invalid(text));
                }
                (other, _) => {
                    return Err(Failure::Invalid(format!(
                        "unknown option `{other}`, expected `kernels` or `packing`"
                    )));
                }
            }
        }
        let isa = Isa::detect().map_err(|error| setup(&error))?;
        let pool = ThreadPool::new(host.threads()).map_err(|error| setup(&error))?;
        Ok(Self { settings: Settings { pool: Arc::new(pool), isa, fast, packs } })
    }

    fn devices(&self) -> Vec<Device> {
        let memory = self.memory_info(0).unwrap_or_default();
        vec![Device {
            kind: "cpu".to_owned(),
            name: format!("CPU with {}", self.settings.isa),
            unique_id: "cpu".to_owned(),
            total_bytes: memory.total_bytes,
            host_memory: true,
            ..Device::default()
        }]
    }

    fn supported_ops(&self) -> Vec<OpName> {
        remuda_ops::TABLE.iter().map(|def| OpName::new(def.domain, def.name)).collect()
    }

    fn supports_operation(&self, _device: u32, _graph: &Graph, node: &Node) -> Support {
        if remuda_ops::find(&node.op.domain, &node.op.name).is_some() {
            return Support::Yes(Cost::default());
        }
        Support::No { code: "op-unsupported", text: format!("operator `{}` is not known", node.op) }
    }

    fn propose(&self, _device: u32, region: &Graph) -> Proposal {
        let workspace_bytes = workspace_bytes(region, &self.settings);
        Proposal { workspace_bytes, ..Proposal::default() }
    }

    fn compile_subgraph(
        &self,
        _device: u32,
        region: Graph,
        _request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        Ok(Box::new(CpuProgram(Program::new(&region, &self.settings)?)))
    }

    fn state_bytes(&self, _device: u32, request: &StateRequest) -> Result<u64, Failure> {
        Ok(cache_bytes(&request.ty, request.sequences, request.capacity)?)
    }

    fn create_state(&self, _device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        Ok(PagedCache::shared(&request.ty, request.sequences, request.capacity)?)
    }

    fn memory_info(&self, _device: u32) -> Result<MemoryInfo, Failure> {
        let (total_bytes, free_bytes) = remuda_base::memory::total_and_available();
        Ok(MemoryInfo { total_bytes, free_bytes })
    }
}

struct CpuProgram(Program);

impl Compiled for CpuProgram {
    fn info(&self) -> ProgramInfo {
        ProgramInfo { resident_bytes: self.0.packed_bytes() as u64, workspace_bytes: 0 }
    }

    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let options = RunOptions {
            cancel: Some(request.cancel),
            profile: request.profile.map(Profile::new),
            states: request.states,
        };
        Ok(self.0.run(inputs, &options)?)
    }
}
