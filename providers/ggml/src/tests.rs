//! The provider through its table, on the ggml that `REMUDA_GGML` names: without one these tests say so
//! and pass.

use remuda_host::{Answer, Failure, GraphExport, Provider, RunOptions, Table};
use remuda_ops::{NEWEST_OPSET, Ops};
use remuda_sdk::ir::{Def, Graph, Val, ValueType, infer_graph, text, verify};
use remuda_sdk::tensor::Tensor;

use crate::backend::GgmlBackend;

mod blocks;
mod caches;
mod cases;

/// The CPU of the ggml that is named.
fn provider() -> Option<Provider> {
    let provider = opened(&[]).expect("good options");
    match provider.devices().unwrap().remove(0).unusable {
        None => Some(provider),
        Some(reason) => {
            assert_eq!(remuda_base::knobs::GGML.text(), None, "{reason}");
            eprintln!("skipped: {reason}");
            None
        }
    }
}

fn opened(options: &[(&str, &str)]) -> Result<Provider, Failure> {
    let table = Table::linked(remuda_sdk::table::<GgmlBackend>()).expect("a good table");
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

/// The largest difference from the reference, as a part of the largest output.
fn distance(provider: &Provider, graph: &Graph, inputs: &[Val]) -> f32 {
    let values = |vals: Vec<Val>| vals[0].tensor().unwrap().to_f32_vec().unwrap();
    let want = values(remuda_ops::interpret(graph, inputs).unwrap());
    let got = values(run(provider, graph, inputs).unwrap());
    assert_eq!(got.len(), want.len());
    let peak = want.iter().fold(0.0f32, |peak, value| peak.max(value.abs()));
    let gaps = got.iter().zip(&want).map(|(got, want)| (got - want).abs());
    gaps.fold(0.0, f32::max) / peak
}

#[test]
fn unknown_options_are_refused_with_their_name() {
    let Err(failure) = opened(&[("speed", "9")]) else { panic!("it was opened") };
    assert!(failure.to_string().contains("`speed`"), "{failure}");
}

#[test]
fn a_folder_without_ggml_is_an_unusable_device_with_the_cure() {
    let provider = opened(&[("folder", "/nowhere")]).expect("good options");
    let reason = provider.devices().unwrap().remove(0).unusable.expect("a reason");
    assert!(reason.contains("/nowhere") && reason.contains("build-backends.sh"), "{reason}");
}

#[test]
fn symbolic_sizes_become_a_graph_each_and_outputs_may_be_inputs() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[n, 2]\n  %y = Neg(%x)\n  %z = Relu(%y)\n  output %z\n  output %x\n  output %z\n}",
    );
    let program = provider.compile(0, graph.clone(), NEWEST_OPSET).unwrap();
    for rows in [1, 3, 1, 7] {
        let x: Val = Tensor::from_vec([rows, 2], numbers(rows * 2, 5)).unwrap().into();
        let want = remuda_ops::interpret(&graph, std::slice::from_ref(&x)).unwrap();
        assert_eq!(program.run(&[x], &RunOptions::default()).unwrap(), want);
    }
    let none: Val = Tensor::from_vec::<f32>([0, 2], Vec::new()).unwrap().into();
    let refused = program.run(&[none], &RunOptions::default());
    assert!(matches!(refused, Err(Failure::Unsupported { .. })), "{refused:?}");
}

#[test]
fn dimensions_that_an_input_gives_are_those_of_the_run() {
    let Some(provider) = provider() else { return };
    let graph = typed(
        "graph \"g\" {\n  input %x: f32[n, 6]\n  input %s: i64[2]\n  %y = Reshape(%x, %s)\n  %z = Relu(%y)\n  output %z\n}",
    );
    let program = provider.compile(0, graph.clone(), NEWEST_OPSET).unwrap();
    let x: Val = Tensor::from_vec([2, 6], numbers(12, 5)).unwrap().into();
    for shape in [[3, 4], [4, 3], [-1, 2]] {
        let inputs = [x.clone(), Tensor::vector(shape.to_vec()).into()];
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
    let x: Val = Tensor::from_vec([4, 2], numbers(8, 5)).unwrap().into();
    let with =
        |index: i64| run(&provider, &graph, &[x.clone(), Tensor::vector(vec![index]).into()]);
    assert!(with(-4).is_ok());
    assert!(matches!(with(4), Err(Failure::Invalid(_))));
    assert!(matches!(with(-5), Err(Failure::Invalid(_))));
}
