//! Small graphs with known answers: one operator over two matrices of 2x2. All numbers are small whole
//! ones, which every float format of a device holds exactly.

use remuda_bridge::{Failure, GraphExport};
use remuda_ir::{Graph, Node, OpError, OpName, ValueType};
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::{Answer, DeviceTensor, Operand, Program, Provider, RunOptions};

/// An operator with its answer.
pub(super) struct Operator {
    pub(super) name: &'static str,
    answer: [f32; 4],
}

/// What is tried, in this order.
pub(super) const OPERATORS: &[Operator] = &[
    Operator { name: "Add", answer: [6.0, 4.0, -4.0, 4.0] },
    Operator { name: "Mul", answer: [5.0, -12.0, -21.0, -32.0] },
    Operator { name: "MatMul", answer: [19.0, -10.0, 43.0, -14.0] },
    Operator { name: "Relu", answer: [1.0, 0.0, 3.0, 0.0] },
    Operator { name: "Neg", answer: [-1.0, 2.0, -3.0, 4.0] },
    Operator { name: "Identity", answer: LEFT },
];

/// An operator that no provider can have.
pub(super) const LIE: &str = "NoSuchOperatorOfAnyProvider";

const LEFT: [f32; 4] = [1.0, -2.0, 3.0, -4.0];
const RIGHT: [f32; 4] = [5.0, 6.0, -7.0, 8.0];
/// The meaning of these operators is the same in every opset since.
const OPSET: u32 = 25;

/// A graph of one operator.
pub(super) struct Trial(Graph);

impl Trial {
    pub(super) fn new(operator: &str) -> Self {
        let matrix = ValueType::from(TensorType::new(DType::F32, [Dim::Known(2), Dim::Known(2)]));
        let mut graph = Graph::new("probe");
        let left = graph.add_input("left", Some(matrix.clone()));
        let mut inputs = vec![Some(left)];
        if takes_two(operator) {
            inputs.push(Some(graph.add_input("right", Some(matrix.clone()))));
        }
        let output = graph.add_pending("output");
        graph.set_type(output, matrix);
        graph.push(Node::new(OpName::onnx(operator), inputs, vec![Some(output)]));
        graph.outputs = vec![output];
        Self(graph)
    }

    pub(super) fn ask(self, provider: &Provider, device: u32) -> Result<Answer, Failure> {
        let mut answers = provider.query(device, &GraphExport::new(self.0, OPSET), 1)?;
        answers.pop().ok_or_else(|| Failure::Internal("it gave no answer".to_owned()))
    }

    pub(super) fn compile(self, provider: &Provider, device: u32) -> Result<Program, Failure> {
        provider.compile(device, self.0, OPSET)
    }

    /// Runs it; the error is what is wrong with the device.
    pub(super) fn run(
        provider: &Provider,
        device: u32,
        program: &Program,
        operator: &Operator,
    ) -> Result<(), String> {
        let name = operator.name;
        let failed = |failure: Failure| format!("it cannot run `{name}`: {failure}");
        let mut inputs = vec![matrix(provider, device, LEFT).map_err(failed)?];
        if takes_two(name) {
            inputs.push(matrix(provider, device, RIGHT).map_err(failed)?);
        }
        let outputs = program.run_operands(&inputs, &RunOptions::default()).map_err(failed)?;
        let first = outputs.into_iter().next().map(Operand::into_host).transpose();
        let first = first.map_err(failed)?;
        let got = first.as_ref().and_then(|val| val.tensor().ok()).and_then(numbers);
        if got.as_deref() == Some(&operator.answer) {
            return Ok(());
        }
        let got = got.map_or_else(|| "something else".to_owned(), |got| format!("{got:?}"));
        Err(format!("its `{name}` gave {got}, expected {:?}", operator.answer))
    }
}

/// An input, in the memory that the device works in.
fn matrix(provider: &Provider, device: u32, numbers: [f32; 4]) -> Result<Operand, Failure> {
    let tensor = Tensor::from_vec([2, 2], numbers.to_vec()).map_err(OpError::from)?;
    if provider.has_device_memory() {
        return Ok(Operand::Device(DeviceTensor::upload(provider, device, &tensor)?));
    }
    Ok(Operand::Host(tensor.into()))
}

fn takes_two(operator: &str) -> bool {
    !matches!(operator, "Relu" | "Neg" | "Identity")
}

fn numbers(tensor: &Tensor) -> Option<Vec<f32>> {
    Some(tensor.contiguous().as_slice::<f32>().ok()?.to_vec())
}
