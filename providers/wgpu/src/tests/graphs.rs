//! Small graphs: what is fused, moved and shared between nodes.

use remuda_host::{Answer, Failure, RunOptions};
use remuda_ops::NEWEST_OPSET;
use remuda_sdk::ir::Val;
use remuda_sdk::tensor::Tensor;

use super::{answers, distance, numbers, opened, provider, run, tensor, typed};
use crate::gpu::Gpu;
use crate::lower::Lowering;

#[test]
fn unknown_options_are_refused_with_their_name() {
    let Err(failure) = opened(&[("speed", "9")]) else { panic!("it was opened") };
    assert!(failure.to_string().contains("`speed`"), "{failure}");
}

#[test]
fn symbolic_sizes_are_planned_one_by_one_and_outputs_may_be_inputs() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[n, 2]\n  %y = Neg(%x)\n  %z = Relu(%y)\n  output %z\n  output %x\n  output %z\n}",
    );
    let program = provider.compile(0, graph.clone(), NEWEST_OPSET).unwrap();
    for rows in [1, 3, 1, 7] {
        let x = tensor(&[rows, 2], 5);
        let want = remuda_ops::interpret(&graph, std::slice::from_ref(&x)).unwrap();
        assert_eq!(program.run(&[x], &RunOptions::default()).unwrap(), want);
    }
    let none: Val = Tensor::from_vec::<f32>([0, 2], Vec::new()).unwrap().into();
    let refused = program.run(&[none], &RunOptions::default());
    assert!(matches!(refused, Err(Failure::Unsupported { .. })), "{refused:?}");
}

#[test]
fn a_layer_of_a_network_is_that_of_the_reference() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[n, 20]\n  input %w: f32[20, 33]\n  input %b: f32[33]\n  input %v: f32[33, 5]\n  %a = MatMul(%x, %w)\n  %c = Add(%a, %b)\n  %d = Relu(%c)\n  %e = Gemm(%d, %v)\n  output %e\n  output %d\n}",
    );
    for rows in [1, 4, 70] {
        let inputs =
            [tensor(&[rows, 20], 1), tensor(&[20, 33], 2), tensor(&[33], 3), tensor(&[33, 5], 4)];
        let distance = distance(&provider, &graph, &inputs);
        assert!(distance < 1e-5, "{rows} rows: {distance}");
    }
}

#[test]
fn dimensions_that_an_input_gives_are_those_of_the_run() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[n, 6]\n  input %s: i64[2]\n  %y = Reshape(%x, %s)\n  %z = Relu(%y)\n  output %z\n}",
    );
    let program = provider.compile(0, graph.clone(), NEWEST_OPSET).unwrap();
    for shape in [[3, 4], [4, 3], [-1, 2]] {
        let inputs = [tensor(&[2, 6], 5), Tensor::vector(shape.to_vec()).into()];
        let want = remuda_ops::interpret(&graph, &inputs).unwrap();
        assert_eq!(program.run(&inputs, &RunOptions::default()).unwrap(), want);
    }
}

#[test]
fn an_index_out_of_bounds_is_invalid() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[4, 2]\n  input %i: i64[n]\n  %y = Gather(%x, %i)\n  output %y\n}",
    );
    let x = tensor(&[4, 2], 5);
    let with =
        |index: i64| run(&provider, &graph, &[x.clone(), Tensor::vector(vec![index]).into()]);
    assert!(with(-4).is_ok());
    assert!(matches!(with(4), Err(Failure::Invalid(_))));
    assert!(matches!(with(-5), Err(Failure::Invalid(_))));
}

#[test]
fn an_input_may_be_indices_and_numbers_at_once() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[4, 2]\n  input %i: i64[n]\n  %f = Cast(%i) {to = 1}\n  %y = Gather(%x, %i)\n  output %y\n  output %f\n}",
    );
    let inputs = [tensor(&[4, 2], 5), Tensor::vector(vec![3i64, -1, 0]).into()];
    let want = remuda_ops::interpret(&graph, &inputs).unwrap();
    assert_eq!(run(&provider, &graph, &inputs).unwrap(), want);
}

#[test]
fn integers_that_the_device_does_not_have_are_refused() {
    let Some(provider) = provider() else { return };
    let graph =
        typed("graph \"g\" {\n  input %i: i64[n]\n  %y = Cast(%i) {to = 1}\n  output %y\n}");
    let with = |value: i64| run(&provider, &graph, &[Tensor::vector(vec![value]).into()]);
    assert!(with(1 << 30).is_ok());
    assert!(matches!(with(1 << 40), Err(Failure::Unsupported { .. })));
}

#[test]
fn chains_of_elementwise_operators_are_one_launch() {
    let Some(gpu) = Gpu::first() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[8, 16]\n  input %b: f32[16]\n  %a = Add(%x, %b)\n  %c = Tanh(%a)\n  %d = Mul(%c, %x)\n  %e = Sigmoid(%d)\n  output %e\n}",
    );
    let mut lowering = Lowering::new(&graph, gpu.limits);
    for (_, node) in graph.nodes() {
        lowering.node(node).unwrap();
    }
    lowering.part_of(graph.outputs[0]).unwrap();
    assert_eq!(lowering.plan.steps.len(), 1);
}

#[test]
fn moving_elements_about_launches_nothing_until_somebody_computes() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[2, 3, 8]\n  input %w: f32[3, 5]\n  %t = Transpose(%x) {perm = ints[0, 2, 1]}\n  %y = MatMul(%t, %w)\n  %u = Transpose(%y) {perm = ints[2, 0, 1]}\n  %v = Add(%u, %u)\n  output %v\n}",
    );
    let distance = distance(&provider, &graph, &[tensor(&[2, 3, 8], 1), tensor(&[3, 5], 2)]);
    assert!(distance < 1e-5, "{distance}");
    let gpu = Gpu::first().expect("there is a device");
    let mut lowering = Lowering::new(&graph, gpu.limits);
    for (_, node) in graph.nodes() {
        lowering.node(node).unwrap();
    }
    lowering.part_of(graph.outputs[0]).unwrap();
    assert_eq!(lowering.plan.steps.len(), 2);
}

#[test]
fn a_program_outlives_another_that_shares_its_weights() {
    let Some(provider) = provider() else { return };
    let mut graph = typed("graph \"g\" {\n  input %x: f32[n, 64]\n  output %x\n}");
    let weight = Tensor::from_vec([64, 64], numbers(64 * 64, 9)).unwrap();
    let weight = graph.add_const("w", weight);
    let x = graph.inputs[0];
    let name = remuda_sdk::ir::OpName::onnx("MatMul");
    let y = graph.apply(name, &[x, weight], Default::default(), "y");
    graph.outputs = vec![y];
    remuda_sdk::ir::infer_graph(&mut graph, &remuda_ops::Ops).unwrap();
    let program = || provider.compile(0, graph.clone(), NEWEST_OPSET).unwrap();
    let (first, second) = (program(), program());
    let inputs = [tensor(&[3, 64], 1)];
    let results =
        [&first, &second].map(|program| program.run(&inputs, &RunOptions::default()).unwrap());
    assert_eq!(results[0], results[1]);
    drop(first);
    assert_eq!(second.run(&inputs, &RunOptions::default()).unwrap(), results[0]);
}

#[test]
fn what_is_not_taken_is_refused_with_a_code() {
    let Some(provider) = provider() else { return };
    let code = |source: &str| match answers(&provider, &typed(source)).remove(0) {
        Answer::No { code, .. } => code,
        other => panic!("{other:?}"),
    };
    let unknown = code("graph \"g\" {\n  input %x: f32[4, 4]\n  %y = Det(%x)\n  output %y\n}");
    assert_eq!(unknown, "op-unsupported");
    let double = code("graph \"g\" {\n  input %x: f64[4]\n  %y = Relu(%x)\n  output %y\n}");
    assert_eq!(double, "dtype");
    let large =
        code("graph \"g\" {\n  input %x: f32[65536, 32768]\n  %y = Relu(%x)\n  output %y\n}");
    assert_eq!(large, "memory");
}
