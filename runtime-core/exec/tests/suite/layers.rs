//! Decoders of many equal layers over devices with room for some of them.

use remuda_exec::plan::Plan;
use remuda_exec::{Copying, ExecError, Options, Selection, Session, Speeds};
use remuda_ops::Random;

use crate::common::{fake, options, select};
use crate::decoder::{decoder, room};

const LAYERS: usize = 32;
const TARGETS: [&str; 3] = ["fake:gpu", "fake:npu", "cpu"];

/// A machine on which every node costs the same on a target, and copies cost more than a node.
fn machine() -> (Selection, Options) {
    let fake = fake(&[
        ("devices", "gpu,npu"),
        ("gpu.cost", "*=1000"),
        ("npu.cost", "*=2000"),
        ("gpu.memory", "110000"),
        ("npu.memory", "80000"),
    ]);
    let copies = Some(Copying { latency_ns: 20_000.0, bytes_per_ns: 100.0 });
    let cpu = Speeds {
        launch_ns: 1_000.0,
        node_ns: 5_000.0,
        ops_per_ns: 1e6,
        functions_per_ns: 1e6,
        bytes_per_ns: 1e6,
        ..Speeds::default()
    };
    let other = Speeds { launch_ns: 3_000.0, upload: copies, download: copies, ..cpu };
    let speeds = TARGETS.map(|name| (name.to_owned(), if name == "cpu" { cpu } else { other }));
    let states = room(LAYERS, 1, false);
    let options = Options { speeds: speeds.into_iter().collect(), states, ..options() };
    (select(&fake, &["auto"]), options)
}

fn plan(pins: Vec<(String, String)>) -> Result<Plan, ExecError> {
    let (selection, options) = machine();
    let graph = decoder(&mut Random::new(5), &[None; LAYERS]);
    Ok(Session::new(graph, &selection, &Options { pins, ..options })?.plan())
}

/// The names of the nodes of a layer.
fn nodes(layer: usize) -> impl Iterator<Item = String> {
    ["n", "q", "k", "v", "a", "o", "x"].into_iter().map(move |node| format!("{node}{layer}"))
}

/// The target of each layer, if its nodes are all on one.
fn layers(plan: &Plan) -> Vec<usize> {
    let target = |node: String| {
        let node = plan.node_named(&node).expect("a node of the layer");
        plan.classes[0].placements[node.index()].provider.index()
    };
    let layer = |layer: usize| {
        let mut targets = nodes(layer).map(target);
        let first = targets.next().expect("a node");
        assert!(targets.all(|other| other == first), "layer {layer} is divided");
        first
    };
    (0..LAYERS).map(layer).collect()
}

/// So many layers in a row on each target.
fn split(order: [usize; 3], counts: [usize; 3]) -> Vec<(String, String)> {
    let mut left = counts;
    let mut pins = Vec::new();
    for layer in 0..LAYERS {
        let target = order.into_iter().find(|&target| left[target] > 0).expect("layers for all");
        left[target] -= 1;
        pins.extend(nodes(layer).map(|node| (node, TARGETS[target].to_owned())));
    }
    pins
}

#[test]
fn layers_are_divided_at_the_best_places() {
    let found = plan(Vec::new()).unwrap();
    let placed = layers(&found);
    let changes = placed.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let count = |target: usize| placed.iter().filter(|&&at| at == target).count();
    let (gpu, npu) = (count(0), count(1));
    assert!(gpu > 5 && npu > 5 && count(2) > 5, "{placed:?}");
    assert_eq!(changes, 2, "{placed:?}");
    for (used, layers) in found.providers.iter().zip([gpu, npu]) {
        let another = used.peak_bytes() + used.weights_bytes / layers as u64;
        assert!(another > used.budget_bytes.unwrap(), "{placed:?} leaves room: {used:?}");
    }
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut compared = 0;
    for (gpu, npu) in [(gpu, npu), (gpu - 1, npu + 1), (gpu + 1, npu), (gpu, npu + 1)] {
        for order in orders {
            let Ok(other) = plan(split(order, [gpu, npu, LAYERS - gpu - npu])) else { continue };
            compared += 1;
            let told = format!("{} {} {gpu} {npu} {order:?}", found.cost_ns, other.cost_ns);
            assert!(found.cost_ns <= other.cost_ns, "{told}");
        }
    }
    assert!(compared > 5, "{compared}");
}
