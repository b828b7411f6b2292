//! Weights in the block formats that kernels read.

use remuda_host::Answer;
use remuda_ops::Ops;
use remuda_sdk::ir::{Graph, OpName, Val, infer_graph};
use remuda_sdk::tensor::dtype::BlockId;
use remuda_sdk::tensor::{DType, Dim, Tensor, TensorType};

use super::{answers, distance, numbers, provider};

const ROWS: usize = 3;
const INPUTS: usize = 512;
const OUTPUTS: usize = 24;

const FORMATS: [&str; 4] = ["q4_0", "q8_0", "q4_k", "q6_k"];

fn weights(format: &str) -> Tensor {
    let id = BlockId::by_name(format).unwrap();
    let quantize = id.format().quantize.unwrap();
    let dtype = DType::Block(id);
    let mut bytes = vec![0; dtype.bytes_for(OUTPUTS * INPUTS).unwrap()];
    quantize(&numbers(OUTPUTS * INPUTS, 1), &mut bytes);
    Tensor::from_bytes(dtype, [OUTPUTS, INPUTS], &bytes).unwrap()
}

fn product(weight: Tensor) -> Graph {
    let mut graph = Graph::new("g");
    let rows = TensorType::new(DType::F32, [Dim::symbol("n"), INPUTS.into()]);
    let x = graph.add_input("x", Some(rows.into()));
    let weight = graph.add_const("w", weight);
    let bias = graph.add_const("b", Tensor::vector(numbers(OUTPUTS, 2)));
    let y =
        graph.apply(OpName::new("remuda", "Linear"), &[x, weight, bias], Default::default(), "y");
    graph.outputs.push(y);
    infer_graph(&mut graph, &Ops).unwrap();
    graph
}

fn rows_of(weight: Tensor) -> Graph {
    let mut graph = Graph::new("g");
    let indices = TensorType::new(DType::I64, [Dim::symbol("n")]);
    let indices = graph.add_input("i", Some(indices.into()));
    let table = graph.add_const("w", weight);
    let y = graph.apply(OpName::onnx("Gather"), &[table, indices], Default::default(), "y");
    graph.outputs.push(y);
    infer_graph(&mut graph, &Ops).unwrap();
    graph
}

#[test]
fn products_with_blocks_are_those_of_the_reference() {
    let Some(provider) = provider() else { return };
    for format in FORMATS {
        let graph = product(weights(format));
        let answer = &answers(&provider, &graph)[0];
        assert!(matches!(answer, Answer::Yes(_)), "{format}: {answer:?}");
        for rows in [1, ROWS, 40] {
            let x = Tensor::from_vec([rows, INPUTS], numbers(rows * INPUTS, 3)).unwrap();
            let distance = distance(&provider, &graph, &[Val::from(x)]);
            assert!(distance < 1e-5, "{format}, {rows} rows: {distance}");
        }
    }
}

#[test]
fn rows_of_blocks_are_those_of_the_reference() {
    let Some(provider) = provider() else { return };
    for format in FORMATS {
        let graph = rows_of(weights(format));
        let indices = Val::from(Tensor::vector(vec![3i64, 0, 23, -1]));
        let distance = distance(&provider, &graph, &[indices]);
        assert!(distance < 1e-5, "{format}: {distance}");
    }
}
