//! Prints what the way through a provider's table and through a session costs: a graph of a thousand tiny
//! operators, run by the CPU provider's program itself, through its table, and by a session.
//! `cargo run --release -p remuda-exec --example overhead [nodes]`. Not a test: times depend on the machine.
#![expect(clippy::print_stdout, reason = "the point of the program")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use remuda_cpu::{Program, Settings};
use remuda_exec::{Options, RunRequest, Selection, Session, Target};
use remuda_host::{Provider, RunOptions, Table};
use remuda_ir::{Attrs, Graph, OpName, Val, infer_graph};
use remuda_kernels::ThreadPool;
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_simd::Isa;
use remuda_tensor::{DType, Tensor, TensorType};

const ROUNDS: usize = 201;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_000);
    let graph = tiny(count)?;
    let input = [Val::from(Tensor::vector(vec![0.5f32; 16]))];

    let settings = Settings {
        pool: Arc::new(ThreadPool::new(1)?),
        isa: Isa::detect()?,
        fast: true,
        packs: true,
        kept: None,
    };
    let direct = Program::new(&graph, &settings)?;
    let provider = Provider::open(Table::linked(remuda_cpu::table())?, 1, &[])?;
    let through = provider.compile(0, graph.clone(), NEWEST_OPSET)?;
    let cpu = Target::all_of(&provider)?.remove(0);
    let selection = Selection::new(&["cpu"], &[], cpu)?;
    let session = Session::new(graph, &selection, &Options::new(NEWEST_OPSET, 1))?;

    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        times[0].push(timed(|| direct.run(input.to_vec(), &remuda_cpu::RunOptions::default()))?);
        times[1].push(timed(|| through.run(&input, &RunOptions::default()))?);
        times[2].push(timed(|| session.run(&input, &RunRequest::default()))?);
    }
    let [direct, through, session] = times.map(median);
    println!("{count} nodes, medians of {ROUNDS} interleaved runs");
    println!("kernels, by the provider's own program  {direct:9.1} us");
    let more = |time: f64| (time / direct - 1.0) * 100.0;
    println!("through the provider's table            {through:9.1} us  {:+.2} %", more(through));
    println!("by a session                            {session:9.1} us  {:+.2} %", more(session));
    Ok(())
}

/// Tiny operators in a row, of three kinds.
fn tiny(count: usize) -> Result<Graph, Box<dyn Error>> {
    let mut graph = Graph::new("tiny");
    let ty = TensorType::new(DType::F32, [16usize.into()]);
    let x = graph.add_input("x", Some(ty.into()));
    let mut last = x;
    for at in 0..count {
        let (op, inputs) = match at % 3 {
            0 => ("Neg", vec![last]),
            1 => ("Abs", vec![last]),
            _ => ("Add", vec![last, x]),
        };
        last = graph.apply(OpName::onnx(op), &inputs, Attrs::default(), &format!("v{at}"));
    }
    graph.outputs = vec![last];
    infer_graph(&mut graph, &Ops)?;
    Ok(graph)
}

/// Microseconds of a call.
fn timed<T, E>(call: impl FnOnce() -> Result<T, E>) -> Result<f64, E> {
    let started = Instant::now();
    call()?;
    Ok(started.elapsed().as_secs_f64() * 1e6)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
