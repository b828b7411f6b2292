//! The example provider in C: built as its guide says, found, opened and run.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::Path;
use std::process::Command;

use remuda_host::loading::{Config, Entry, Isolation, Registry};
use remuda_host::{Answer, Provider, RunOptions};
use remuda_ir::{Graph, Val, infer_graph, text, verify};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_tensor::Tensor;

fn provider(name: &str) -> Provider {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lib{name}.so"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers/example-c/build.sh");
    assert!(Command::new("bash").arg(script).arg(&out).status().unwrap().success());
    let entry = Entry { library: Some(out), isolation: Some(Isolation::None), ..Entry::default() };
    let config = Config { providers: vec![entry], ..Config::default() };
    let registry = Registry::discover(&config);
    assert!(registry.looked[0].verdict.is_ready(), "{}", registry.looked[0].verdict);
    let found = &registry.providers[0];
    assert_eq!(found.manifest.description.as_deref(), Some("Add, Mul and Relu, in C"));
    found.open(1).unwrap()
}

fn graph(source: &str) -> Graph {
    let mut graph = text::parse(source).unwrap();
    verify(&graph, &Ops).unwrap();
    infer_graph(&mut graph, &Ops).unwrap();
    graph
}

#[test]
fn a_region_of_several_nodes_runs_as_it_should() {
    let source = r#"graph "g" {
  input %x: f32[2]
  const %w: f32[2] = x0000003f000000c0
  %a = Add(%x, %w)
  %b = Mul(%a, %x)
  %y = Relu(%b)
  output %y, %a
}"#;
    let provider = provider("example_runs");
    let export = remuda_bridge::GraphExport::new(graph(source), NEWEST_OPSET);
    let answers = provider.query(0, &export, 3).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Yes(_))), "{answers:?}");
    let program = provider.compile(0, graph(source), NEWEST_OPSET).unwrap();
    let x = Tensor::vector(vec![1.5f32, 3.0]);
    let outputs = program.run(&[x.into()], &RunOptions::default()).unwrap();
    assert_eq!(outputs[0], Val::from(Tensor::vector(vec![3.0f32, 3.0])));
    assert_eq!(outputs[1], Val::from(Tensor::vector(vec![2.0f32, 1.0])));
}

#[test]
fn what_it_cannot_do_is_refused_with_a_reason() {
    let provider = provider("example_refuses");
    let refusal = |source: &str| {
        let export = remuda_bridge::GraphExport::new(graph(source), NEWEST_OPSET);
        match provider.query(0, &export, 1).unwrap().remove(0) {
            Answer::No { code, .. } => code,
            other => panic!("{other:?}"),
        }
    };
    let of = |ty: &str, node: &str| {
        format!(
            "graph \"g\" {{\n  input %x: {ty}\n  input %w: f32[1]\n  %y = {node}\n  output %y\n}}"
        )
    };
    assert_eq!(refusal(&of("f32[2]", "Sub(%x, %x)")), "op-unsupported");
    assert_eq!(refusal(&of("i32[2]", "Add(%x, %x)")), "dtype");
    assert_eq!(refusal(&of("f32[n]", "Relu(%x)")), "dtype");
    assert_eq!(refusal(&of("f32[2]", "Add(%x, %w)")), "broadcast");
}
