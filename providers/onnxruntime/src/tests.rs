//! The provider through its table, on the ONNX Runtime that is installed: without one these tests say so
//! and pass, unless `ORT_DYLIB_PATH` names one.

use std::sync::atomic::{AtomicBool, Ordering};

use remuda_host::{Answer, Failure, GraphExport, Provider, RunOptions, Table};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_sdk::ir::{Graph, Val, infer_graph, text, verify};
use remuda_sdk::tensor::Tensor;

use crate::backend::OrtBackend;

mod blocks;
mod cases;

/// The CPU of the installed library.
fn provider() -> Option<Provider> {
    let provider = opened(&[]);
    match provider.devices().unwrap().remove(0).unusable {
        None => Some(provider),
        Some(reason) => {
            assert_eq!(remuda_base::knobs::ONNXRUNTIME.text(), None, "{reason}");
            eprintln!("skipped: {reason}");
            None
        }
    }
}

fn opened(options: &[(&str, &str)]) -> Provider {
    let table = Table::linked(remuda_sdk::table::<OrtBackend>()).expect("a good table");
    Provider::open(table, 2, options).expect("good options")
}

fn typed(source: &str) -> Graph {
    let mut graph = text::parse(source).expect("a graph");
    verify(&graph, &Ops).expect("a verified graph");
    infer_graph(&mut graph, &Ops).expect("a typed graph");
    graph
}

fn run(provider: &Provider, graph: &Graph, inputs: &[Val]) -> Result<Vec<Val>, Failure> {
    let program = provider.compile(0, graph.clone(), NEWEST_OPSET)?;
    program.run(inputs, &RunOptions::default())
}

/// The provider gives what the reference kernels give, bit for bit.
fn agrees(provider: &Provider, graph: &Graph, inputs: &[Val]) {
    let want = remuda_ops::interpret(graph, inputs).unwrap();
    assert_eq!(run(provider, graph, inputs).unwrap(), want);
}

fn answers(provider: &Provider, graph: &Graph) -> Vec<Answer> {
    let export = GraphExport::new(graph.clone(), NEWEST_OPSET);
    provider.query(0, &export, graph.order().len()).unwrap()
}

#[test]
fn symbolic_dimensions_stay_and_outputs_are_what_the_reference_gives() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[n, 2]\n  %y = Neg(%x)\n  %z = Relu(%y)\n  output %z\n  output %x\n  output %z\n}",
    );
    for rows in [0, 1, 3] {
        let values = (0..rows * 2u8).map(|value| f32::from(value) - 2.5).collect();
        let x = Tensor::from_vec([usize::from(rows), 2], values).unwrap();
        agrees(&provider, &graph, &[x.into()]);
    }
}

#[test]
fn results_may_be_written_to_and_nobody_notices() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[2]\n  const %w: f32[2] = x0000803f00000040\n  %y = Neg(%x)\n  \
         %k = Identity(%w)\n  %s = Add(%w, %k)\n  output %y, %y, %x, %k, %s, %w\n}",
    );
    let inputs = [Val::from(Tensor::vector(vec![3.0f32, 4.0]))];
    let want = remuda_ops::interpret(&graph, &inputs).unwrap();
    let program = provider.compile(0, graph, NEWEST_OPSET).unwrap();
    for _ in 0..3 {
        let got = program.run(&inputs, &RunOptions::default()).unwrap();
        assert_eq!(got, want);
        let mut written = 0;
        for val in got {
            let Val::Tensor(mut tensor) = val else { panic!("no tensor") };
            for value in tensor.as_mut_slice::<f32>().unwrap_or_default() {
                *value = 9.0;
                written += 1;
            }
        }
        assert!(written >= 2, "what a run makes is the caller's");
    }
}

#[test]
fn large_weights_are_read_where_they_lie() {
    let Some(provider) = provider() else { return };
    let mut graph = Graph::new("g");
    let weights: Vec<f32> = (0..64u8 * 2).flat_map(|_| [1.0, 2.0, -1.0, 0.5]).collect();
    let weight = graph.add_const("w", Tensor::from_vec([32, 16], weights).unwrap());
    let source = typed("graph \"s\" {\n  input %x: f32[n, 32]\n  output %x\n}");
    let x = graph.add_input("x", source.value(source.inputs[0]).ty.clone());
    let op = remuda_sdk::ir::OpName::onnx("MatMul");
    let y = graph.apply(op, &[x, weight], Default::default(), "y");
    graph.outputs.push(y);
    infer_graph(&mut graph, &Ops).unwrap();
    let x = Tensor::from_vec([2, 32], (0..64u8).map(f32::from).collect()).unwrap();
    agrees(&provider, &graph, &[x.into()]);
}

#[test]
fn bodies_use_values_of_the_graph_around_them() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        r#"graph "g" {
  input %x: f32[n]
  input %c: bool[]
  const %w: f32[1] = x0000003f
  %b = Add(%x, %w)
  %y = If(%c) {else_branch = graph "e" {
    capture %b2: f32[n]
    output %b2
  } (%b), then_branch = graph "t" {
    capture %b3: f32[n]
    %t = Abs(%b3)
    output %t
  } (%b)}
  output %y
}"#,
    );
    for branch in [true, false] {
        let x = Tensor::vector(vec![-2.0f32, 3.0]);
        agrees(&provider, &graph, &[x.into(), Tensor::scalar(branch).into()]);
    }
}

#[test]
fn what_the_runtime_fused_runs_with_bias_residual_and_activation() {
    let Some(provider) = provider() else { return };
    for activation in ["", "Relu", "Tanh", "HardSwish", "Swish"] {
        let attrs = if activation.is_empty() {
            String::new()
        } else {
            format!(" {{activation = \"{activation}\"}}")
        };
        let graph = typed(&format!(
            "graph \"g\" {{\n  input %x: f32[n, 2]\n  input %w: f32[2, 2]\n  input %b: f32[2]\n  \
             %y = remuda::FusedLinear(%x, %w, %b, %x){attrs}\n  output %y\n}}"
        ));
        let matrix = |values: [f32; 4]| Tensor::from_vec([2, 2], values.to_vec()).unwrap();
        let bias = Tensor::vector(vec![0.5f32, -1.0]);
        let inputs: [Val; 3] = [
            matrix([1.0, -2.0, 3.0, 0.5]).into(),
            matrix([1.0, 0.5, -1.0, 2.0]).into(),
            bias.into(),
        ];
        let want = remuda_ops::interpret(&graph, &inputs).unwrap();
        let got = run(&provider, &graph, &inputs).unwrap();
        let values = |val: &Val| val.tensor().unwrap().to_f32_vec().unwrap();
        for (got, want) in values(&got[0]).into_iter().zip(values(&want[0])) {
            assert!(
                (got - want).abs() <= 1e-6 * want.abs().max(1.0),
                "{activation}: {got}, {want}"
            );
        }
    }
}

#[test]
fn refusals_say_why() {
    let Some(provider) = provider() else { return };
    let refused = |source: &str| match &answers(&provider, &typed(source))[0] {
        Answer::No { code, text } => (code.clone(), text.clone()),
        other => panic!("{source}: {other:?}"),
    };
    let (code, text) =
        refused("graph \"g\" {\n  input %x: f32[2]\n  %y = RandomNormalLike(%x)\n  output %y\n}");
    assert_eq!((&*code, text.contains("random numbers")), ("op-unsupported", true), "{text}");
    let (code, text) =
        refused("graph \"g\" {\n  input %x: c64[2]\n  %y = Identity(%x)\n  output %y\n}");
    assert_eq!((&*code, text.contains("`c64`")), ("dtype", true), "{text}");
    let (_, text) = refused("graph \"g\" {\n  input %x: bf16[2]\n  %y = Erf(%x)\n  output %y\n}");
    assert!(!text.is_empty() && !text.contains(".cc"), "{text}");
}

#[test]
fn a_run_that_is_no_longer_wanted_ends() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        r#"graph "g" {
  input %n: i64[]
  input %c: bool[]
  input %x: f32[4]
  %y = Loop(%n, %c, %x) {body = graph "b" {
    input %i: i64[]
    input %go: bool[]
    input %a: f32[4]
    %more = Identity(%go)
    %b = Add(%a, %a)
    output %more
    output %b
  } ()}
  output %y
}"#,
    );
    let program = provider.compile(0, graph, NEWEST_OPSET).unwrap();
    let inputs: [Val; 3] = [
        Tensor::scalar(i64::MAX).into(),
        Tensor::scalar(true).into(),
        Tensor::vector(vec![1.0f32; 4]).into(),
    ];
    let cancel = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
            program.run(&inputs, &options)
        });
        cancel.store(true, Ordering::Relaxed);
        run.join().unwrap()
    });
    assert_eq!(ended.unwrap_err(), Failure::Cancelled);
}

#[test]
fn inputs_of_other_dimensions_are_refused_and_the_next_run_goes_on() {
    let Some(provider) = provider() else { return };
    let graph = typed("graph \"g\" {\n  input %x: f32[2]\n  %y = Neg(%x)\n  output %y\n}");
    let program = provider.compile(0, graph, NEWEST_OPSET).unwrap();
    let run =
        |values: Vec<f32>| program.run(&[Tensor::vector(values).into()], &RunOptions::default());
    let failure = run(vec![1.0; 3]).unwrap_err();
    assert!(matches!(failure, Failure::Invalid(_)), "{failure:?}");
    assert_eq!(run(vec![1.0, -1.0]).unwrap(), [Val::from(Tensor::vector(vec![-1.0f32, 1.0]))]);
}

#[test]
fn a_library_that_is_not_there_is_a_device_with_a_reason() {
    let device = opened(&[("library", "/nowhere/libonnxruntime.so")]).devices().unwrap().remove(0);
    let reason = device.unusable.unwrap();
    assert!(reason.contains("/nowhere/libonnxruntime.so"), "{reason}");
    assert!(reason.contains("pip install onnxruntime"), "{reason}");
}

#[test]
fn options_that_nobody_knows_are_refused() {
    let table = Table::linked(remuda_sdk::table::<OrtBackend>()).unwrap();
    let failure = Provider::open(table, 1, &[("file", "x")]).unwrap_err();
    assert!(failure.to_string().contains("unknown option `file`"), "{failure}");
}
