//! The reference provider through its table.

use remuda_host::{Provider, RunOptions, Table};
use remuda_ir::{infer_graph, text, verify};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_tensor::Tensor;

#[test]
fn a_graph_runs_on_the_reference_kernels() {
    let table = Table::linked(remuda_reference::table()).unwrap();
    let provider = Provider::open(table, 1, &[]).unwrap();
    let source = "graph \"g\" {\n  input %x: f32[n]\n  %y = Neg(%x)\n  output %y\n}";
    let mut graph = text::parse(source).unwrap();
    verify(&graph, &Ops).unwrap();
    infer_graph(&mut graph, &Ops).unwrap();
    let program = provider.compile(0, graph, NEWEST_OPSET).unwrap();
    let x = Tensor::vector(vec![1.0f32, -2.0]);
    let outputs = program.run(&[x.into()], &RunOptions::default()).unwrap();
    assert_eq!(outputs[0].tensor().unwrap().to_f32_vec().unwrap(), [-1.0, 2.0]);
}
