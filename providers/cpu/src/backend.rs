//! The CPU behind the provider contract, like any stranger.

use std::sync::Arc;

use remuda_cache::Cache;
use remuda_ir::{Graph, Node, OpName, StateRef, Val};
use remuda_kernels::ThreadPool;
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, MemoryInfo,
    ProgramInfo, Proposal, RunRequest, StateRequest, Support,
};
use remuda_simd::Isa;

use crate::results::Returned;
use crate::{PagedCache, Profile, Program, RunOptions, Settings, cache_bytes, workspace_bytes};

/// The CPU.
#[derive(Debug)]
pub struct CpuBackend {
    settings: Settings,
    /// Memory of results that were let go.
    returned: Arc<Returned>,
}

/// The table of the CPU provider.
#[must_use]
pub fn table() -> &'static remuda_sdk::abi::Provider {
    remuda_sdk::table::<CpuBackend>()
}

fn setup(error: &dyn std::fmt::Display) -> Failure {
    Failure::Invalid(error.to_string())
}

/// What the provider is opened with.
struct Options {
    fast: bool,
    packs: bool,
    /// The folder in which packed weights are kept.
    kept: Option<String>,
    /// The most bytes that the folder may hold.
    limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { fast: true, packs: true, kept: None, limit: u64::MAX }
    }
}

impl Options {
    fn take(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        let wrong = |expected: &str| {
            Failure::Invalid(format!("option `{key}` is `{value}`, expected {expected}"))
        };
        match (key, value) {
            ("kernels", "fast") => self.fast = true,
            ("kernels", "reference") => self.fast = false,
            ("kernels", _) => return Err(wrong("`fast` or `reference`")),
            ("packing", "on") => self.packs = true,
            ("packing", "off") => self.packs = false,
            ("packing", _) => return Err(wrong("`on` or `off`")),
            ("keep", folder) => self.kept = Some(folder.to_owned()),
            ("keep_bytes", count) => {
                self.limit = count.parse().map_err(|_| wrong("a number of bytes"))?;
            }
            (other, _) => {
                return Err(Failure::Invalid(format!(
                    "unknown option `{other}`, expected `kernels`, `packing`, `keep` or `keep_bytes`"
                )));
            }
        }
        Ok(())
    }
}

impl Backend for CpuBackend {
    const NAME: &'static str = "cpu";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        let mut chosen = Options::default();
        options.iter().try_for_each(|(key, value)| chosen.take(key, value))?;
        let isa = Isa::detect().map_err(|error| setup(&error))?;
        let pool = ThreadPool::new(host.threads()).map_err(|error| setup(&error))?;
        let Options { fast, packs, kept, limit } = chosen;
        let kept = kept.map(|folder| Cache::new(folder, limit));
        let settings = Settings { pool: Arc::new(pool), isa, fast, packs, kept };
        Ok(Self { settings, returned: Arc::default() })
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
        let program = Program::new(&region, &self.settings)?.sharing(&self.returned);
        Ok(Box::new(CpuProgram(program)))
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
