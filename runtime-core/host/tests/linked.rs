//! A graph through the table of the linked CPU provider and back.

use std::sync::atomic::AtomicBool;

use remuda_host::{Answer, Failure, Provider, RunOptions, Table};
use remuda_ir::{Val, infer_graph, text, verify};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_tensor::Tensor;

fn provider() -> Provider {
    let table = Table::linked(remuda_cpu::table()).expect("a good table");
    Provider::open(table, 1, &[]).expect("the CPU opens")
}

fn graph(source: &str) -> remuda_ir::Graph {
    let mut graph = text::parse(source).expect("a graph");
    verify(&graph, &Ops).expect("a verified graph");
    infer_graph(&mut graph, &Ops).expect("a typed graph");
    graph
}

const SUM: &str = r#"graph "sum" {
  input %x: f32[n]
  const %w: f32[1] = x0000003f
  %y = Add(%x, %w)
  output %y, %x
}"#;

#[test]
fn a_graph_runs_across_the_contract() {
    let provider = provider();
    assert_eq!(provider.name(), "cpu");
    let devices = provider.devices().unwrap();
    assert_eq!((devices.len(), devices[0].kind.as_str(), &devices[0].unusable), (1, "cpu", &None));
    let export = remuda_bridge::GraphExport::new(graph(SUM), NEWEST_OPSET);
    assert!(matches!(provider.query(0, &export, 1).unwrap()[..], [Answer::Yes(_)]));
    let program = provider.compile(0, graph(SUM), NEWEST_OPSET).unwrap();
    drop(provider);
    let x = Tensor::vector(vec![1.0f32, 2.0]);
    let outputs = program.run(&[x.clone().into()], &RunOptions::default()).unwrap();
    assert_eq!(outputs[0], Val::from(Tensor::vector(vec![1.5f32, 2.5])));
    assert_eq!(outputs[1], Val::from(x));
}

#[test]
fn the_time_of_each_node_is_told() {
    let program = provider().compile(0, graph(SUM), NEWEST_OPSET).unwrap();
    let steps = std::cell::RefCell::new(Vec::new());
    let report = |step| steps.borrow_mut().push(step);
    let options = RunOptions { profile: Some(&report), ..RunOptions::default() };
    program.run(&[Tensor::vector(vec![1.0f32, 2.0]).into()], &options).unwrap();
    let steps = steps.into_inner();
    assert_eq!((steps.len(), steps[0].op.as_str(), &steps[0].dims[..]), (1, "Add", &[2][..]));
}

#[test]
fn a_stranger_operator_is_refused_with_a_reason_and_failures_come_back_typed() {
    let provider = provider();
    let source = "graph \"g\" {\n  input %x: f32[n]\n  %y = my.domain::Odd(%x)\n  output %y\n}";
    let odd = text::parse(source).unwrap();
    let export = remuda_bridge::GraphExport::new(odd.clone(), NEWEST_OPSET);
    let answers = provider.query(0, &export, 1).unwrap();
    let want = Answer::No {
        code: "op-unsupported".into(),
        text: "operator `my.domain::Odd` is not known".into(),
    };
    assert_eq!(answers, [want]);
    let failure = provider.compile(0, odd, NEWEST_OPSET).unwrap_err();
    assert!(matches!(failure, Failure::Unsupported { .. }), "{failure}");
    let program = provider.compile(0, graph(SUM), NEWEST_OPSET).unwrap();
    let cancel = AtomicBool::new(true);
    let x = Val::from(Tensor::vector(vec![1.0f32]));
    let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
    assert_eq!(program.run(&[x], &options), Err(Failure::Cancelled));
    assert!(matches!(program.run(&[], &RunOptions::default()), Err(Failure::Invalid(_))));
}
