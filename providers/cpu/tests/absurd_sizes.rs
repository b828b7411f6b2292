//! Sizes that a model may ask for and no machine has: every one of them is a typed error, whether the
//! result is too large or only what lies between. (Where memory runs out in a list that was not
//! reserved, the process would end, and this test with it.)

#![expect(clippy::panic, reason = "a model that is not refused fails the test")]

use std::sync::Arc;

use remuda_cpu::{Program, RunOptions, Settings};
use remuda_ir::{OpError, Val, infer_graph, text, verify};
use remuda_kernels::ThreadPool;
use remuda_ops::Ops;
use remuda_simd::Isa;
use remuda_tensor::Tensor;

/// More elements of four bytes than there are addresses.
const FAR: i64 = 1 << 46;

/// Runs one node over inputs whose dimensions are not known before.
fn run(node: &str, inputs: &[Tensor]) -> Result<Vec<Val>, OpError> {
    let declared = inputs.iter().enumerate().map(|(at, input)| {
        let dims: Vec<_> = (0..input.rank()).map(|axis| format!("d{at}_{axis}")).collect();
        format!("input %i{at}: {}[{}]\n", input.dtype(), dims.join(", "))
    });
    let names: Vec<_> = (0..inputs.len()).map(|at| format!("%i{at}")).collect();
    let node = node.replacen('(', &format!("({}", names.join(", ")), 1);
    let declared: String = declared.collect();
    let source = format!("graph \"g\" {{\n{declared}%y = {node}\noutput %y\n}}");
    let mut graph = text::parse(&source).unwrap_or_else(|error| panic!("{source}: {error}"));
    verify(&graph, &Ops).unwrap_or_else(|error| panic!("{source}: {error}"));
    infer_graph(&mut graph, &Ops)?;
    let pool = Arc::new(ThreadPool::new(2).expect("threads"));
    let program = Program::new(
        &graph,
        &Settings { pool, isa: Isa::best(), fast: true, packs: true, kept: None },
    )?;
    program.run(inputs.iter().cloned().map(Val::from).collect(), &RunOptions::default())
}

fn floats(dims: &[usize]) -> Tensor {
    Tensor::from_vec(dims, vec![1.0f32; dims.iter().product()]).expect("a small tensor")
}

fn refused(node: &str, inputs: &[Tensor]) {
    match run(node, inputs) {
        Err(OpError::Resource(text)) => assert!(text.len() < 300, "{node}: {text}"),
        other => panic!("{node}: expected a refusal for want of memory, got {other:?}"),
    }
}

#[test]
fn results_beyond_memory_are_refused() {
    let ints = |values: &[i64]| Tensor::vector(values.to_vec());
    refused("Expand()", &[floats(&[1]), ints(&[FAR])]);
    refused("Expand()", &[floats(&[1]), ints(&[1 << 62])]);
    refused("Tile()", &[floats(&[1]), ints(&[FAR])]);
    refused("Pad()", &[floats(&[1]), ints(&[FAR, 0])]);
    refused("Pad() {mode = \"edge\"}", &[floats(&[1]), ints(&[0, 1 << 62])]);
    let images = [floats(&[1, 2, 2, 2]), floats(&[2, 2, 1, 1])];
    for pads in [[FAR, 0, 0, 0], [0, 0, 0, FAR]] {
        refused(&format!("Conv() {{pads = ints{pads:?}}}"), &images);
    }
    let bytes = |dims: &[usize]| {
        Tensor::from_vec(dims, vec![1u8; dims.iter().product()]).expect("a small tensor")
    };
    let images = [bytes(&[1, 2, 2, 2]), bytes(&[2, 2, 1, 1])];
    refused(&format!("ConvInteger() {{pads = ints[{FAR}, 0, 0, 0]}}"), &images);
    let lines = [floats(&[1, 2, 2]), floats(&[2, 2, 2])];
    refused(&format!("ConvTranspose() {{strides = ints[{FAR}]}}"), &lines);
    refused(&format!("ConvTranspose() {{dilations = ints[{FAR}]}}"), &lines);
}

#[test]
fn work_beyond_memory_is_refused_however_small_the_result() {
    // The first result reads one element of padding, and the other tap the first of the data.
    let far = format!("dilations = ints[{FAR}], pads = ints[{FAR}, 0]");
    for channels in [1, 2] {
        let lines = [floats(&[1, channels, 2]), floats(&[channels, channels, 2])];
        refused(&format!("Conv() {{{far}}}"), &lines);
    }
}

#[test]
fn nothing_is_made_for_results_without_elements() {
    let pads = format!("pads = ints[{FAR}, 0, 0, 0]");
    let empty = [floats(&[0, 2, 2, 2]), floats(&[2, 2, 1, 1])];
    let result = run(&format!("Conv() {{{pads}}}"), &empty).expect("an empty result");
    let result = result[0].tensor().expect("a tensor");
    assert_eq!(result.dims(), [0, 2, (1 << 46) + 2, 2]);
    let none = [floats(&[1, 0, 2]), floats(&[2, 0, 1 << 46])];
    refused(&format!("Conv() {{pads = ints[{FAR}, 0]}}"), &none);
}
