//! Shape classes: runs of few and of many rows are placed apart, over one residency of the weights and
//! over the same caches.

use remuda_exec::{Copying, Options, Session, ShapeClass, Speeds};
use remuda_ir::{Attrs, Graph, OpName, Val};
use remuda_ops::{Random, random_tensor};
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::common::{cpu, fake, options, run, select, typed};
use crate::decoder::{Feeder, Step, close, decoder, room};

const WIDTH: usize = 256;

/// A product with a weight worth sharing, and what comes after it.
fn product_and(op: &str) -> Graph {
    let mut graph = Graph::new("g");
    let ty = TensorType::new(DType::F32, [Dim::symbol("tokens"), Dim::from(WIDTH)]);
    let x = graph.add_input("x", Some(ty.into()));
    let mut random = Random::new(1);
    let weight = random_tensor(&mut random, DType::F32, &[WIDTH, WIDTH]).expect("a tensor");
    let weight = graph.add_const("w", weight);
    let made = graph.apply(OpName::onnx("MatMul"), &[x, weight], Attrs::default(), "product");
    let last = graph.apply(OpName::onnx(op), &[made], Attrs::default(), "last");
    graph.outputs = vec![last];
    typed(graph)
}

fn rows(count: usize) -> Val {
    let values = (0..count * WIDTH).map(|at| (at % 7) as f32 / 7.0 - 0.4).collect();
    Tensor::from_vec([count, WIDTH], values).expect("a tensor").into()
}

/// Steps of at most `few` tokens, planned as one, and others, planned as `many`.
fn classes(few: usize, many: usize) -> Vec<ShapeClass> {
    let class = |name: &str, runs, size| ShapeClass {
        name: name.to_owned(),
        runs,
        sizes: [("tokens".to_owned(), size)].into_iter().collect(),
        up_to: Vec::new(),
    };
    let decode = class("decode", 16, 1);
    vec![
        ShapeClass { up_to: vec![("tokens".to_owned(), few)], ..decode },
        class("prefill", 1, many),
    ]
}

/// A CPU that starts at once and a device that is slow to start and fast then.
fn wishes(launch_ns: f64, classes: Vec<ShapeClass>) -> Options {
    let copies = Some(Copying { latency_ns: 1_000.0, bytes_per_ns: 20.0 });
    let cpu = Speeds {
        launch_ns: 1_000.0,
        node_ns: 300.0,
        ops_per_ns: 16.0,
        functions_per_ns: 0.5,
        bytes_per_ns: 8.0,
        ..Speeds::default()
    };
    let gpu = Speeds {
        launch_ns,
        ops_per_ns: 4_000.0,
        functions_per_ns: 100.0,
        bytes_per_ns: 400.0,
        upload: copies,
        download: copies,
        ..cpu
    };
    let speeds = [("cpu".to_owned(), cpu), ("fake:gpu".to_owned(), gpu)];
    Options { classes, speeds: speeds.into_iter().collect(), ..options() }
}

/// The targets of all nodes in one class.
fn placed(session: &Session, class: usize) -> Vec<usize> {
    let plan = session.plan();
    plan.classes[class].placements.iter().map(|placement| placement.provider.index()).collect()
}

fn alone(graph: Graph) -> Session {
    let cpu = remuda_exec::Selection::new(&["cpu"], &[], cpu()).expect("a sound test");
    Session::new(graph, &cpu, &options()).expect("a sound test")
}

#[test]
fn few_and_many_rows_are_placed_apart_and_each_run_follows_its_own_plan() {
    let graph = product_and("Neg");
    let fake = fake(&[]);
    let wishes = wishes(200_000.0, classes(8, 512));
    let session = Session::new(graph.clone(), &select(&fake, &["auto"]), &wishes).unwrap();
    assert_eq!((placed(&session, 0), placed(&session, 1)), (vec![1, 1], vec![0, 0]));
    let cpu = alone(graph);
    for (count, class, target) in
        [(1, "decode", "cpu"), (8, "decode", "cpu"), (9, "prefill", "fake:gpu")]
    {
        let (outputs, receipt) = run(&session, &[rows(count)]);
        assert_eq!((&*receipt.class, &*receipt.parts[0].target), (class, target));
        assert_eq!(outputs, run(&cpu, &[rows(count)]).0);
    }
}

#[test]
fn a_weight_that_both_classes_use_on_a_device_lies_there_once() {
    let graph = product_and("Exp");
    // `Exp` takes the device as long for few rows as for many, the CPU only for few.
    let fake = fake(&[("cost", "MatMul=1000,Exp=2000000")]);
    let wishes = wishes(1_000.0, classes(8, 100_000));
    let session = Session::new(graph.clone(), &select(&fake, &["auto"]), &wishes).unwrap();
    assert_eq!((placed(&session, 0), placed(&session, 1)), (vec![0, 1], vec![0, 0]));
    let cpu = alone(graph);
    for (count, parts) in [(2, vec![1, 1]), (20, vec![2])] {
        let (outputs, receipt) = run(&session, &[rows(count)]);
        let nodes: Vec<usize> = receipt.parts.iter().map(|part| part.nodes).collect();
        assert_eq!(nodes, parts, "the receipt speaks of the plan's parts, not of their pieces");
        assert_eq!(outputs, run(&cpu, &[rows(count)]).0);
    }
    let weights = (WIDTH * WIDTH * 4) as u64;
    assert_eq!(session.plan().providers[0].weights_bytes, weights);
    assert_eq!(session.resident_bytes()["fake:gpu"], weights);
}

#[test]
fn a_class_that_no_input_shows_is_refused() {
    let mut wishes = wishes(1_000.0, classes(8, 512));
    wishes.classes[0].up_to = vec![("toks".to_owned(), 8)];
    let error = Session::new(product_and("Neg"), &select(&fake(&[]), &["auto"]), &wishes);
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "no input shows the dimension `toks` of class `decode`");
}

/// The logits of some steps of one and of many tokens.
fn fed(session: &Session) -> Vec<Vec<Vec<f32>>> {
    let mut feeder = Feeder::new(session).expect("states");
    let steps: [Step; 6] = [
        vec![(0, vec![1, 2, 3, 4, 5])],
        vec![(0, vec![6])],
        vec![(1, vec![7, 8, 9, 10, 1, 2])],
        vec![(0, vec![3]), (1, vec![4])],
        vec![(0, vec![5])],
        vec![(1, vec![6, 7, 8, 9])],
    ];
    steps.iter().map(|step| feeder.step(step).expect("a step")).collect()
}

#[test]
fn caches_stay_where_they_are_while_classes_take_turns() {
    let graph = decoder(&mut Random::new(3), &[None, Some(4)]);
    let mut plain = options();
    plain.states = room(2, 2, false);
    let cpu = remuda_exec::Selection::new(&["cpu"], &[], cpu()).expect("a sound test");
    let want = fed(&Session::new(graph.clone(), &cpu, &plain).unwrap());
    for fail in ["", "lost@1", "lost@2", "cache@9", "oom@2"] {
        let mut given = vec![("ops", "all,-remuda::CachedAttention")];
        given.extend((!fail.is_empty()).then_some(("fail", fail)));
        let fake = fake(&given);
        let mut wishes = wishes(100_000.0, classes(2, 20_000));
        wishes.states = room(2, 2, false);
        let session = Session::new(graph.clone(), &select(&fake, &["auto"]), &wishes).unwrap();
        if fail.is_empty() {
            assert_ne!(placed(&session, 0), placed(&session, 1));
        }
        for (got, want) in fed(&session).iter().zip(&want) {
            assert!(close(got, want), "{fail}: {got:?} {want:?}");
        }
    }
}
