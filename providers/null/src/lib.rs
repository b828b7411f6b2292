//! A provider that takes everything and computes nothing.
//!
//! Outputs are zeros of the declared type, dimensions that are not known counting 1. What a run costs
//! here is what the way through the contract costs; and whoever writes a provider may start from a
//! copy of this file.
#![forbid(unsafe_code)]

use remuda_sdk::ir::{Graph, Node, OpName, Val, ValueType};
use remuda_sdk::tensor::Tensor;
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, CostSource, Device, Failure, HostServices, MemoryInfo,
    RunRequest, Support, no_options,
};

/// The table of the null provider.
#[must_use]
pub fn table() -> &'static remuda_sdk::abi::Provider {
    remuda_sdk::table::<NullBackend>()
}

/// Takes everything, computes nothing.
#[derive(Debug)]
pub struct NullBackend;

impl Backend for NullBackend {
    const NAME: &'static str = "null";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(_host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        no_options(options).map(|()| Self)
    }

    fn devices(&self) -> Vec<Device> {
        vec![Device {
            kind: "null".to_owned(),
            name: "nothing".to_owned(),
            unique_id: "null".to_owned(),
            host_memory: true,
            no_results: true,
            ..Device::default()
        }]
    }

    fn supported_ops(&self) -> Vec<OpName> {
        Vec::new()
    }

    fn supports_operation(&self, _device: u32, _graph: &Graph, _node: &Node) -> Support {
        Support::Yes(Cost { source: CostSource::Declared, nanoseconds: 0.0, bytes: 0 })
    }

    fn compile_subgraph(
        &self,
        _device: u32,
        region: Graph,
        _request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let zeros = region.outputs.iter().map(|&output| zero(region.value(output).ty.as_ref()));
        Ok(Box::new(NullProgram(zeros.collect::<Result<_, _>>()?)))
    }

    fn memory_info(&self, _device: u32) -> Result<MemoryInfo, Failure> {
        Ok(MemoryInfo::default())
    }
}

/// Nothing of this type.
fn zero(ty: Option<&ValueType>) -> Result<Val, Failure> {
    match ty {
        Some(ValueType::Tensor(ty)) => {
            let dims = ty.dims.iter().flatten().map(|dim| dim.as_usize().unwrap_or(1));
            let zeros = Tensor::zeros(ty.dtype, dims.collect::<Vec<_>>());
            Ok(zeros.map_err(|error| Failure::Invalid(error.to_string()))?.into())
        }
        Some(ValueType::Sequence(_)) => Ok(Val::sequence(Vec::new())),
        Some(ValueType::Optional(_)) => Ok(Val::Optional(None)),
        Some(ValueType::State(_)) | None => {
            Err(Failure::Unsupported { node: None, text: "an output has no type".to_owned() })
        }
    }
}

struct NullProgram(Vec<Val>);

impl Compiled for NullProgram {
    fn execute(&self, _inputs: Vec<Val>, _request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        Ok(self.0.clone())
    }
}
