//! The provider through its table, on the first adapter of this machine: without one these tests say so
//! and pass.

use remuda_host::{Answer, Failure, GraphExport, Provider, RunOptions, Table};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_sdk::ir::{Def, Graph, Val, ValueType, infer_graph, text, verify};
use remuda_sdk::tensor::Tensor;

use crate::backend::WgpuBackend;

mod blocks;
mod caches;
mod cases;
mod graphs;

/// The adapters of this machine, if there are any.
fn provider() -> Option<Provider> {
    let provider = opened(&[]).expect("good options");
    match provider.devices().unwrap().remove(0).unusable {
        None => Some(provider),
        Some(reason) => {
            eprintln!("skipped: {reason}");
            None
        }
    }
}

fn opened(options: &[(&str, &str)]) -> Result<Provider, Failure> {
    let table = Table::linked(remuda_sdk::table::<WgpuBackend>()).expect("a good table");
    Provider::open(table, 2, options)
}

fn typed(source: &str) -> Graph {
    let mut graph = text::parse(source).expect("a graph");
    verify(&graph, &Ops).expect("a verified graph");
    infer_graph(&mut graph, &Ops).expect("a typed graph");
    graph
}

fn run(provider: &Provider, graph: &Graph, inputs: &[Val]) -> Result<Vec<Val>, Failure> {
    let program = provider.compile(0, graph.clone(), NEWEST_OPSET)?;
    let states = graph.values().filter_map(|(_, value)| match (&value.def, &value.ty) {
        (Def::State, Some(ValueType::State(ty))) => Some(provider.create_state(0, ty, 8, 64)),
        _ => None,
    });
    let states = states.collect::<Result<Vec<_>, _>>()?;
    let states: Vec<_> = states.iter().collect();
    program.run(inputs, &RunOptions { states: &states, ..RunOptions::default() })
}

fn answers(provider: &Provider, graph: &Graph) -> Vec<Answer> {
    let export = GraphExport::new(graph.clone(), NEWEST_OPSET);
    provider.query(0, &export, graph.order().len()).unwrap()
}

/// Numbers without a pattern, between -1 and 1.
fn numbers(count: usize, mut seed: u32) -> Vec<f32> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(seed >> 16).unwrap()) / 32_768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(dims: &[usize], seed: u32) -> Val {
    Tensor::from_vec(dims.to_vec(), numbers(dims.iter().product(), seed)).unwrap().into()
}

/// The largest difference from the reference, as a part of the largest output.
fn distance(provider: &Provider, graph: &Graph, inputs: &[Val]) -> f32 {
    let values = |val: &Val| val.tensor().unwrap().to_f32_vec().unwrap();
    let all_want = remuda_ops::interpret(graph, inputs).unwrap();
    let all_got = run(provider, graph, inputs).unwrap();
    assert_eq!(all_got.len(), all_want.len());
    let mut distance: f32 = 0.0;
    for (got, want) in all_got.iter().zip(&all_want) {
        assert_eq!(got.tensor().unwrap().dims(), want.tensor().unwrap().dims());
        let (got, want) = (values(got), values(want));
        let peak = want.iter().fold(f32::MIN_POSITIVE, |peak, value| peak.max(value.abs()));
        let gaps = got.iter().zip(&want).map(|(got, want)| (got - want).abs());
        assert!(got.iter().all(|value| value.is_finite()));
        distance = distance.max(gaps.fold(0.0, f32::max) / peak);
    }
    distance
}
