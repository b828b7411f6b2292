//! Weights in the formats that kernels read, in one part and in several.

use remuda_host::{Answer, Provider};
use remuda_ops::Ops;
use remuda_sdk::ir::{Attr, Attrs, Graph, OpName, Val, infer_graph};
use remuda_sdk::tensor::{DType, Dim, Tensor, TensorType, rows};

use super::{answers, distance, numbers, opened, provider};
use crate::gpu::{Gpu, Limits};
use crate::lower::Lowering;

const ROWS: usize = 3;
const INPUTS: usize = 512;
const OUTPUTS: usize = 24;

const FORMATS: [&str; 4] = ["q4_0", "q8_0", "q4_k", "q6_k"];

fn weights(format: &str, outputs: usize) -> Tensor {
    let dtype = DType::from_name(format).unwrap();
    let mut bytes = vec![0; dtype.bytes_for(outputs * INPUTS).unwrap()];
    rows::encode(dtype, &numbers(outputs * INPUTS, 1), &mut bytes).unwrap();
    Tensor::from_bytes(dtype, [outputs, INPUTS], &bytes).unwrap()
}

fn product(weight: Tensor) -> Graph {
    multiplied(weight, OpName::new("remuda", "Linear"), Attrs::default())
}

/// As [`product`], as exporters write it.
fn gemm(weight: Tensor) -> Graph {
    let mut attrs = Attrs::default();
    attrs.set("transB", Attr::Int(1));
    attrs.set("alpha", Attr::Float(0.5));
    attrs.set("beta", Attr::Float(3.0));
    multiplied(weight, OpName::onnx("Gemm"), attrs)
}

/// Rows that an operator multiplies with a weight, and a bias.
fn multiplied(weight: Tensor, op: OpName, attrs: Attrs) -> Graph {
    let mut graph = Graph::new("g");
    let outputs = weight.dims()[0];
    let rows = TensorType::new(DType::F32, [Dim::symbol("n"), INPUTS.into()]);
    let x = graph.add_input("x", Some(rows.into()));
    let weight = graph.add_const("w", weight);
    let bias = graph.add_const("b", Tensor::vector(numbers(outputs, 2)));
    let y = graph.apply(op, &[x, weight, bias], attrs, "y");
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
        expect_products(&provider, format, &product(weights(format, OUTPUTS)), &[1, ROWS, 40]);
    }
}

/// The provider takes the product, and gives what the reference does for so many rows.
fn expect_products(provider: &Provider, format: &str, graph: &Graph, counts: &[usize]) {
    let answer = &answers(provider, graph)[0];
    assert!(matches!(answer, Answer::Yes(_)), "{format}: {answer:?}");
    for &rows in counts {
        let x = Tensor::from_vec([rows, INPUTS], numbers(rows * INPUTS, 3)).unwrap();
        let distance = distance(provider, graph, &[Val::from(x)]);
        assert!(distance < 1e-5, "{format}, {rows} rows: {distance}");
    }
}

/// How many launches a graph takes on a device with such limits.
fn launches(graph: &Graph, limits: Limits) -> usize {
    let mut lowering = Lowering::new(graph, limits);
    for (_, node) in graph.nodes() {
        lowering.node(node).unwrap();
    }
    lowering.plan.steps.len()
}

#[test]
fn weights_that_a_kernel_does_not_see_whole_are_multiplied_with_in_parts() {
    const SEEN: u64 = 256 << 10;
    // In no format a whole number of parts.
    const LARGE: usize = 1001;
    let (Some(_), Some(gpu)) = (provider(), Gpu::first()) else { return };
    let narrow = opened(&[("binding_bytes", &SEEN.to_string())]).unwrap();
    let limits = Limits { binding_bytes: SEEN, ..gpu.limits };
    let formats = ["f16", "bf16", "q4_0", "q8_0", "q4_k", "q6_k"].into_iter();
    let mut cases: Vec<(&str, Graph)> =
        formats.map(|format| (format, product(weights(format, LARGE)))).collect();
    cases.extend([product, gemm].map(|graph_of| ("f32", graph_of(weights("f32", LARGE)))));
    for (format, graph) in cases {
        let bytes = DType::from_name(format).unwrap().bytes_for(LARGE * INPUTS).unwrap() as u64;
        assert_eq!(launches(&graph, gpu.limits), 1, "{format}");
        let parts = launches(&graph, limits) as u64;
        assert!(parts > 1 && parts >= bytes.div_ceil(SEEN), "{format}: {parts}");
        expect_products(&narrow, format, &graph, &[1, ROWS, 17]);
    }
}

#[test]
fn a_bound_that_leaves_room_for_nothing_is_refused() {
    let Some(_) = provider() else { return };
    for wrong in ["262143", "-1", "1 MiB", ""] {
        let Err(failure) = opened(&[("binding_bytes", wrong)]) else { panic!("{wrong} is taken") };
        let text = failure.to_string();
        assert!(text.contains("`binding_bytes`") && text.contains("262144"), "{text}");
    }
    assert!(opened(&[("binding_bytes", "262144")]).is_ok());
}

#[test]
fn rows_of_blocks_are_those_of_the_reference() {
    let Some(provider) = provider() else { return };
    for format in FORMATS {
        let graph = rows_of(weights(format, OUTPUTS));
        let indices = Val::from(Tensor::vector(vec![3i64, 0, 23, -1]));
        let distance = distance(&provider, &graph, &[indices]);
        assert!(distance < 1e-5, "{format}: {distance}");
    }
}
