//! The fake through its table: its memory, its answers and each of its faults.

use std::sync::atomic::{AtomicBool, Ordering};

use remuda_host::{
    Answer, DeviceTensor, Failure, GraphExport, Operand, Program, Provider, RunOptions, Table,
};
use remuda_ir::{Val, infer_graph, text, verify};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_tensor::Tensor;

fn open(options: &[(&str, &str)]) -> Provider {
    let table = Table::linked(remuda_fake::table()).expect("a good table");
    Provider::open(table, 1, options).expect("good options")
}

fn graph() -> remuda_ir::Graph {
    let source =
        "graph \"g\" {\n  input %x: f32[n]\n  %y = Neg(%x)\n  %z = Abs(%y)\n  output %z\n}";
    let mut graph = text::parse(source).expect("a graph");
    verify(&graph, &Ops).expect("a verified graph");
    infer_graph(&mut graph, &Ops).expect("a typed graph");
    graph
}

fn compile(provider: &Provider) -> Program {
    provider.compile(0, graph(), NEWEST_OPSET).expect("a program")
}

fn run(provider: &Provider, program: &Program) -> Result<Vec<Operand>, Failure> {
    let x = Tensor::vector(vec![1.0f32, -2.0, 3.0]);
    let x = DeviceTensor::upload(provider, 0, &x)?;
    program.run_operands(&[Operand::Device(x)], &RunOptions::default())
}

#[test]
fn values_stay_on_the_device_and_memory_is_given_back() {
    let provider = open(&[("memory", "1000")]);
    let program = compile(&provider);
    let outputs = run(&provider, &program).unwrap();
    let [Operand::Device(z)] = &outputs[..] else { panic!("not on the device: {outputs:?}") };
    assert_eq!(z.to_host().unwrap().to_f32_vec().unwrap(), [1.0, 2.0, 3.0]);
    let copy = z.copy_to(0).unwrap();
    assert_eq!(copy.to_host().unwrap().to_f32_vec().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(provider.memory(0).unwrap().free_bytes, 1000 - 24);
    drop((outputs, copy));
    assert_eq!(provider.memory(0).unwrap().free_bytes, 1000);
    let failure = provider.allocate(0, 1001).unwrap_err();
    assert!(matches!(failure, Failure::OutOfMemory { needed: 1001, free: 1000, .. }), "{failure}");
}

#[test]
fn it_says_no_with_a_reason_and_lies_when_told_to() {
    let export = GraphExport::new(graph(), NEWEST_OPSET);
    let answers = |options: &[(&str, &str)]| open(options).query(0, &export, 2).unwrap();
    let honest = answers(&[("ops", "Abs"), ("cost", "Abs=7")]);
    assert!(
        matches!(&honest[0], Answer::No { code, .. } if code == "op-unsupported"),
        "{honest:?}"
    );
    assert!(matches!(honest[1], Answer::Yes(price) if price.nanoseconds == 7.0), "{honest:?}");
    assert!(
        matches!(&answers(&[("dtypes", "i64")])[0], Answer::No { code, .. } if code == "dtype")
    );
    let liar = open(&[("ops", "Abs"), ("claims", "all")]);
    assert!(matches!(liar.query(0, &export, 2).unwrap()[0], Answer::Yes(_)));
    let failure = liar.compile(0, graph(), NEWEST_OPSET).unwrap_err();
    assert!(matches!(failure, Failure::Unsupported { node: Some(0), .. }), "{failure}");
}

#[test]
fn faults_come_when_they_are_due() {
    let failing = |fail: &str| {
        let provider = open(&[("fail", fail)]);
        let program = compile(&provider);
        (run(&provider, &program), run(&provider, &program))
    };
    assert!(matches!(
        failing("lost@1"),
        (Err(Failure::DeviceLost(_)), Err(Failure::DeviceLost(_)))
    ));
    assert!(matches!(failing("panic@1"), (Err(Failure::Internal(_)), Ok(_))));
    assert!(matches!(failing("error@2"), (Ok(_), Err(Failure::Internal(_)))));
    assert!(matches!(failing("count@1"), (Err(Failure::Internal(_)), Ok(_))));
    // The first allocation is the program's.
    assert!(matches!(failing("oom@2"), (Err(Failure::OutOfMemory { .. }), Ok(_))));
    let refused = open(&[("fail", "refuse@1")]).compile(0, graph(), NEWEST_OPSET);
    assert!(matches!(refused, Err(Failure::Unsupported { node: None, .. })));
}

#[test]
fn a_hanging_run_ends_when_it_is_cancelled() {
    let provider = open(&[("fail", "hang@1")]);
    let program = compile(&provider);
    let cancel = AtomicBool::new(false);
    let x = Val::from(Tensor::vector(vec![1.0f32]));
    let result = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
            program.run_operands(&[x.into()], &options).map(|_| ())
        });
        cancel.store(true, Ordering::Relaxed);
        run.join().unwrap()
    });
    assert_eq!(result, Err(Failure::Cancelled));
}

#[test]
fn truth_values_come_back_as_they_went() {
    let provider = open(&[]);
    let tensor = Tensor::vector(vec![true, false, true]);
    let there = DeviceTensor::upload(&provider, 0, &tensor).unwrap();
    assert!(there.to_host().unwrap().same_bits(&tensor));
}
