//! A provider in Rust: Neg and Abs of f32 tensors of any shape.
//!
//! It is the template for providers in Rust: all that the contract asks for, and nothing else. A region
//! becomes a list of steps over slots, one slot per value of the graph.

use std::sync::atomic::Ordering;

use remuda_sdk::ir::{Graph, Node, OpError, OpName, Val, ValueId, ValueType};
use remuda_sdk::tensor::{DType, Tensor, TensorError};
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, MemoryInfo, RunRequest,
    Support, no_options,
};

remuda_sdk::export_provider!(Example, manifest = "description = \"Neg and Abs, in Rust\"\n");

/// One operator on one number.
type Kernel = fn(f32) -> f32;

/// What it has kernels for.
const KERNELS: &[(&str, Kernel)] = &[("Abs", f32::abs), ("Neg", |number| -number)];

fn kernel(op: &OpName) -> Option<Kernel> {
    KERNELS.iter().find(|(name, _)| op.is_onnx(name)).map(|(_, kernel)| *kernel)
}

/// The provider. It has nothing to remember.
#[derive(Debug)]
pub struct Example;

impl Backend for Example {
    const NAME: &'static str = "example-rust";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn open(_host: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        no_options(options).map(|()| Self)
    }

    fn devices(&self) -> Vec<Device> {
        vec![Device {
            kind: "cpu".to_owned(),
            name: "one core, plain Rust".to_owned(),
            unique_id: "example-rust".to_owned(),
            host_memory: true,
            ..Device::default()
        }]
    }

    fn supported_ops(&self) -> Vec<OpName> {
        KERNELS.iter().map(|(name, _)| OpName::onnx(name)).collect()
    }

    fn supports_operation(&self, _device: u32, graph: &Graph, node: &Node) -> Support {
        if kernel(&node.op).is_none() {
            let text = format!("there is no kernel for `{}`", node.op);
            return Support::No { code: "op-unsupported", text };
        }
        let is_f32 = |id: ValueId| matches!(&graph.value(id).ty, Some(ValueType::Tensor(ty)) if ty.dtype == DType::F32);
        if node.uses().all(is_f32) {
            Support::Yes(Cost::default())
        } else {
            Support::No { code: "dtype", text: "only f32".to_owned() }
        }
    }

    fn compile_subgraph(
        &self,
        _device: u32,
        region: Graph,
        _request: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let mut steps = Vec::new();
        for (at, (_, node)) in (0..).zip(region.nodes()) {
            let (Some(kernel), Some(from), Some(to)) =
                (kernel(&node.op), node.input(0), node.output(0))
            else {
                let text = format!("there is no kernel for `{}`", node.op);
                return Err(Failure::Unsupported { node: Some(at), text });
            };
            steps.push(Step { kernel, from, to });
        }
        Ok(Box::new(Program { region, steps }))
    }

    fn memory_info(&self, _device: u32) -> Result<MemoryInfo, Failure> {
        Ok(MemoryInfo::default()) // it has none of its own
    }
}

/// A compiled region.
struct Program {
    region: Graph,
    steps: Vec<Step>,
}

struct Step {
    kernel: Kernel,
    from: ValueId,
    to: ValueId,
}

impl Compiled for Program {
    fn execute(&self, inputs: Vec<Val>, request: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        let (got, expected) = (inputs.len(), self.region.inputs.len());
        if got != expected {
            return Err(Failure::Invalid(format!("expected {expected} inputs, got {got}")));
        }
        let constants = self.region.values().map(|(_, value)| value.constant().cloned());
        let mut slots: Vec<Option<Tensor>> = constants.collect();
        for (id, input) in self.region.inputs.iter().zip(inputs) {
            slots[id.index()] = Some(input.tensor()?.clone());
        }
        for step in &self.steps {
            if request.cancel.load(Ordering::Relaxed) {
                return Err(Failure::Cancelled);
            }
            slots[step.to.index()] = Some(run(step.kernel, slot(&slots, step.from)?)?);
        }
        let outputs = self.region.outputs.iter();
        outputs.map(|&id| Ok(slot(&slots, id)?.clone().into())).collect()
    }
}

fn slot(slots: &[Option<Tensor>], id: ValueId) -> Result<&Tensor, Failure> {
    let nothing = || Failure::Internal(format!("value {} is not there", id.index()));
    slots[id.index()].as_ref().ok_or_else(nothing)
}

/// Applies a kernel to every element; an input of another type than f32 is refused.
fn run(kernel: Kernel, input: &Tensor) -> Result<Tensor, Failure> {
    let wrong = |error: TensorError| Failure::from(OpError::from(error));
    let numbers = input.to_vec::<f32>().map_err(wrong)?;
    let made: Vec<f32> = numbers.into_iter().map(kernel).collect();
    Tensor::from_vec(input.dims(), made).map_err(wrong)
}
