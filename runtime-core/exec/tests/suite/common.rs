//! Graphs, targets and sessions to test with.

use std::time::Duration;

use remuda_exec::{Options, RunRequest, Selection, Session, Target};
use remuda_host::{Provider, Table};
use remuda_ir::{Graph, Val, infer_graph, text, verify};
use remuda_ops::{NEWEST_OPSET, Ops};

pub(crate) fn cpu() -> Target {
    let cpu = Provider::open(Table::linked(remuda_cpu::table()).expect("a sound test"), 1, &[])
        .expect("a sound test");
    Target::all_of(&cpu).expect("a sound test").remove(0)
}

pub(crate) fn fake(options: &[(&str, &str)]) -> Provider {
    Provider::open(Table::linked(remuda_fake::table()).expect("a sound test"), 1, options)
        .expect("a sound test")
}

pub(crate) fn typed(mut graph: Graph) -> Graph {
    verify(&graph, &Ops).expect("a sound test");
    infer_graph(&mut graph, &Ops).expect("a sound test");
    graph
}

pub(crate) fn graph(source: &str) -> Graph {
    typed(text::parse(source).expect("a sound test"))
}

pub(crate) fn options() -> Options {
    Options::new(NEWEST_OPSET, 1)
}

/// The fake first, the CPU last.
pub(crate) fn select(fake: &Provider, wishes: &[&str]) -> Selection {
    Selection::new(wishes, &Target::all_of(fake).expect("a sound test"), cpu())
        .expect("a sound test")
}

pub(crate) fn run(session: &Session, inputs: &[Val]) -> (Vec<Val>, remuda_exec::Receipt) {
    session.run(inputs, &RunRequest::default()).expect("a sound test")
}

pub(crate) fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Tensor(a), Val::Tensor(b)) => a.same_bits(b),
        _ => a == b,
    }
}

/// Waits until the devices have all their memory back: a run that was left behind gives its own back
/// when it ends.
pub(crate) fn await_no_leak(fake: &Provider, devices: u32) {
    for device in 0..devices {
        let memory = || fake.memory(device).expect("a sound test");
        for _ in 0..2_000 {
            if memory().free_bytes == memory().total_bytes {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(memory().free_bytes, memory().total_bytes, "device {device} leaked");
    }
}
