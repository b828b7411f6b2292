//! Weights in blocks: what `MatMulNBits` makes of them is what the blocks mean.

use remuda_host::Answer;
use remuda_ops::Ops;
use remuda_sdk::ir::{Graph, OpName, Val, infer_graph};
use remuda_sdk::tensor::dtype::BlockId;
use remuda_sdk::tensor::{DType, Dim, Tensor, TensorType};

use super::{answers, opened, provider, run};

const ROWS: usize = 3;
const INPUTS: usize = 512;
const OUTPUTS: usize = 24;

/// Numbers without a pattern, between -1 and 1.
fn numbers(count: usize, mut seed: u32) -> Vec<f32> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(seed >> 16).unwrap()) / 32_768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn weights(format: &str) -> Tensor {
    let id = BlockId::by_name(format).unwrap();
    let quantize = id.format().quantize.unwrap();
    let dtype = DType::Block(id);
    let mut bytes = vec![0; dtype.bytes_for(OUTPUTS * INPUTS).unwrap()];
    quantize(&numbers(OUTPUTS * INPUTS, 1), &mut bytes);
    Tensor::from_bytes(dtype, [OUTPUTS, INPUTS], &bytes).unwrap()
}

fn product(format: &str) -> Graph {
    let mut graph = Graph::new("g");
    let rows = TensorType::new(DType::F32, [Dim::symbol("n"), INPUTS.into()]);
    let x = graph.add_input("x", Some(rows.into()));
    let weight = graph.add_const("w", weights(format));
    let bias = graph.add_const("b", Tensor::vector(numbers(OUTPUTS, 2)));
    let y =
        graph.apply(OpName::new("remuda", "Linear"), &[x, weight, bias], Default::default(), "y");
    graph.outputs.push(y);
    infer_graph(&mut graph, &Ops).unwrap();
    graph
}

/// The largest difference from the reference, as a part of the largest output.
fn distance(provider: &remuda_host::Provider, graph: &Graph) -> f32 {
    let x = Tensor::from_vec([ROWS, INPUTS], numbers(ROWS * INPUTS, 3)).unwrap();
    let inputs = [Val::from(x)];
    let values = |vals: Vec<Val>| vals[0].tensor().unwrap().to_f32_vec().unwrap();
    let want = values(remuda_ops::interpret(graph, &inputs).unwrap());
    let got = values(run(provider, graph, &inputs).unwrap());
    assert_eq!(got.len(), want.len());
    let peak = want.iter().fold(0.0f32, |peak, value| peak.max(value.abs()));
    let gaps = got.iter().zip(&want).map(|(got, want)| (got - want).abs());
    gaps.fold(0.0, f32::max) / peak
}

#[test]
fn blocks_mean_the_same_as_integers_with_scales() {
    let Some(provider) = provider() else { return };
    for format in ["q4_0", "q5_0", "q8_0", "iq4_nl"] {
        let graph = product(format);
        let answer = &answers(&provider, &graph)[0];
        assert!(matches!(answer, Answer::Yes(_)), "{format}: {answer:?}");
        // Rows are rounded to 8 bits per block, as by every engine for such files.
        let distance = distance(&provider, &graph);
        assert!(distance < 0.01, "{format}: {distance}");
    }
}

#[test]
fn other_blocks_are_refused_or_written_out() {
    let Some(provider) = provider() else { return };
    let graph = product("q4_k");
    let Answer::No { code, text } = &answers(&provider, &graph)[0] else { panic!("it was taken") };
    assert_eq!(&**code, "dtype");
    assert!(text.contains("`q4_k`") && text.contains("dequantize"), "{text}");
    let provider = opened(&[("dequantize", "true")]);
    assert!(matches!(answers(&provider, &graph)[0], Answer::Yes(_)));
    assert!(distance(&provider, &graph) < 1e-5);
}
