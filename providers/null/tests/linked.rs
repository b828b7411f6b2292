//! The null provider through its table.

use remuda_host::{Provider, RunOptions, Table};
use remuda_ir::{infer_graph, text, verify};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_tensor::Tensor;

#[test]
fn outputs_are_zeros_of_the_declared_type() {
    let provider = Provider::open(Table::linked(remuda_null::table()).unwrap(), 1, &[]).unwrap();
    let source = "graph \"g\" {\n  input %x: f32[2, 3]\n  %y = Exp(%x)\n  output %y\n}";
    let mut graph = text::parse(source).unwrap();
    verify(&graph, &Ops).unwrap();
    infer_graph(&mut graph, &Ops).unwrap();
    let program = provider.compile(0, graph, NEWEST_OPSET).unwrap();
    let x = Tensor::from_vec([2, 3], vec![1.0f32; 6]).unwrap();
    let outputs = program.run(&[x.into()], &RunOptions::default()).unwrap();
    assert_eq!(outputs[0].tensor().unwrap().dims(), [2, 3]);
    assert_eq!(outputs[0].tensor().unwrap().to_f32_vec().unwrap(), [0.0; 6]);
}
