//! The slow, obvious kernels of the operator set behind the provider contract.
//!
//! Every operator runs on its own reference kernel, one node after the other. That makes this
//! provider the oracle for all others: whatever runs elsewhere must agree with what runs here.
#![forbid(unsafe_code)]

mod state;

use remuda_sdk::ir::{Graph, Node, OpName, StateRef, Val};
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, MemoryInfo, RunRequest,
    StateRequest, Support, no_options,
};

use state::{Bounded, Lengths};

/// The table of the reference provider.
#[must_use]
pub fn table() -> &'static remuda_sdk::abi::Provider {
    remuda_sdk::table::<ReferenceBackend>()
}

/// The reference kernels.
#[derive(Debug)]
pub struct ReferenceBackend;

impl Backend for ReferenceBackend {
    const NAME: &'static str = "reference";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(_host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        no_options(options).map(|()| Self)
    }

    fn devices(&self) -> Vec<Device> {
        vec![Device {
            kind: "reference".to_owned(),
            name: "reference kernels".to_owned(),
            unique_id: "reference".to_owned(),
            host_memory: true,
            ..Device::default()
        }]
    }

    fn supported_ops(&self) -> Vec<OpName> {
        remuda_ops::TABLE.iter().map(|def| OpName::new(def.domain, def.name)).collect()
    }

    fn supports_operation(&self, _device: u32, _graph: &Graph, node: &Node) -> Support {
        match remuda_ops::find(&node.op.domain, &node.op.name) {
            Some(_) => Support::Yes(Cost::default()),
            None => Support::No {
                code: "op-unsupported",
                text: format!("operator `{}` is not known", node.op),
            },
        }
    }

    fn compile_subgraph(
        &self,
        _device: u32,
        region: Graph,
        _request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        for (at, (_, node)) in (0..).zip(region.nodes()) {
            if remuda_ops::find(&node.op.domain, &node.op.name).is_none() {
                let text = format!("operator `{}` is not known", node.op);
                return Err(Failure::Unsupported { node: Some(at), text });
            }
        }
        Ok(Box::new(ReferenceProgram(region)))
    }

    fn state_bytes(&self, _device: u32, request: &StateRequest) -> Result<u64, Failure> {
        let position = request.ty.position_len().saturating_mul(size_of::<f32>()) as u64;
        Ok(request.capacity.saturating_mul(position))
    }

    fn create_state(&self, _device: u32, request: &StateRequest) -> Result<StateRef, Failure> {
        Bounded::shared(request)
    }

    fn memory_info(&self, _device: u32) -> Result<MemoryInfo, Failure> {
        Ok(MemoryInfo::default())
    }
}

struct ReferenceProgram(Graph);

impl Compiled for ReferenceProgram {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let before = Lengths::of(request.states)?;
        match remuda_ops::interpret_with(&self.0, &inputs, request.states) {
            Ok(outputs) => Ok(outputs),
            Err(error) => {
                before.restore()?;
                Err(error.into())
            }
        }
    }
}
