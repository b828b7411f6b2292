use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use remuda_ir::{OpError, Val, infer_graph, text, verify};
use remuda_kernels::ThreadPool;
use remuda_ops::Ops;
use remuda_simd::Isa;
use remuda_tensor::Tensor;

use super::{Program, RunOptions, Settings};

fn settings(fast: bool) -> Settings {
    Settings { pool: Arc::new(ThreadPool::single()), isa: Isa::best(), fast }
}

fn program(source: &str, fast: bool) -> Program {
    let mut graph = text::parse(source).unwrap();
    verify(&graph, &Ops).unwrap();
    infer_graph(&mut graph, &Ops).unwrap();
    Program::new(&graph, &settings(fast)).unwrap()
}

fn run(program: &Program, inputs: &[Tensor]) -> Vec<Tensor> {
    let inputs = inputs.iter().cloned().map(Val::from).collect();
    let outputs = program.run(inputs, &RunOptions::default()).unwrap();
    outputs.into_iter().map(|val| val.tensor().unwrap().clone()).collect()
}

const CHAIN: &str = r#"graph "chain" {
  input %x: f32[n]
  const %w: f32[1] = x0000003f
  %a = Abs(%x)
  %b = Add(%a, %w)
  %c = Add(%b, %b)
  %d = Softmax(%c) {axis = 0}
  output %c, %d
}"#;

#[test]
fn fast_and_reference_kernels_agree_and_inputs_are_left_alone() {
    let x = Tensor::vector(vec![-1.0f32, 2.0, -3.0]);
    let (fast, slow) = (program(CHAIN, true), program(CHAIN, false));
    for _ in 0..3 {
        let (a, b) = (run(&fast, std::slice::from_ref(&x)), run(&slow, std::slice::from_ref(&x)));
        assert_eq!(a[0].to_vec::<f32>().unwrap(), [3.0, 5.0, 7.0]);
        assert_eq!(a[0], b[0]);
        assert_eq!(x.to_vec::<f32>().unwrap(), [-1.0, 2.0, -3.0]);
    }
}

#[test]
fn bodies_see_captured_values() {
    let source = r#"graph "g" {
      input %c: bool[]
      input %x: f32[n]
      %y = If(%c) {else_branch = graph "e" {
        capture %x: f32[n]
        %r = Abs(%x)
        output %r
      } (%x), then_branch = graph "t" {
        capture %x: f32[n]
        %r = Add(%x, %x)
        output %r
      } (%x)}
      output %y
    }"#;
    let program = program(source, true);
    let x = Tensor::vector(vec![-1.0f32]);
    let then = run(&program, &[Tensor::scalar(true), x.clone()]);
    assert_eq!(then[0].to_vec::<f32>().unwrap(), [-2.0]);
    let other = run(&program, &[Tensor::scalar(false), x]);
    assert_eq!(other[0].to_vec::<f32>().unwrap(), [1.0]);
}

#[test]
fn a_cancelled_run_ends_with_that_error() {
    let cancel = AtomicBool::new(true);
    let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
    let result = program(CHAIN, true).run(vec![Tensor::vector(vec![1.0f32]).into()], &options);
    assert_eq!(result, Err(OpError::Cancelled));
}

#[test]
fn one_program_serves_many_threads() {
    let program = program(CHAIN, true);
    std::thread::scope(|scope| {
        for seed in 0..8u8 {
            let program = &program;
            scope.spawn(move || {
                let x = Tensor::vector(vec![f32::from(seed); 1000]);
                for _ in 0..20 {
                    let outputs = run(program, std::slice::from_ref(&x));
                    let want = (f32::from(seed) + 0.5) * 2.0;
                    assert!(outputs[0].to_vec::<f32>().unwrap().iter().all(|&value| value == want));
                }
            });
        }
    });
}
